//! How the engine goes about questions whose answer must not depend on how much mail there is: each is looked up in its
//! index, in the order in which it is wanted.

use super::{audit, file, list, migrate, retention};
use crate::configuration::AuditFilter;

/// The plan of a statement on an empty store, in the engine's words. It knows no amounts then, as it does in service.
fn plan_of(sql: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let connection = file::open(&home.path().join("posthaste.db")).unwrap();
    migrate::run(&connection, true).unwrap();
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let values = vec![1_i64; statement.parameter_count()];
    let lines = statement.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(3));
    lines.unwrap().collect::<Result<Vec<_>, _>>().unwrap().join("; ")
}

#[test]
fn the_audit_of_one_thing_is_looked_up() {
    let given = || Some("x".to_owned());
    for (filter, index) in [
        (AuditFilter { action: given(), ..AuditFilter::default() }, "audit_action (action=? AND rowid<?)"),
        (AuditFilter { target: given(), ..AuditFilter::default() }, "audit_target (target=? AND rowid<?)"),
        (AuditFilter { actor_id: given(), ..AuditFilter::default() }, "audit_actor (actor_id=? AND rowid<?)"),
    ] {
        let plan = plan_of(&audit::search(&filter));
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn emails_of_one_status_come_in_the_order_of_their_index() {
    for (sql, index) in [
        (list::WAITING, "emails_waiting (client=? AND status=? AND rowid<?)"),
        (list::OVER, "emails_ended (client=? AND status=? AND rowid<?)"),
        (retention::OLD, "emails_ended (client=? AND status=? AND rowid<?)"),
    ] {
        let plan = plan_of(sql);
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

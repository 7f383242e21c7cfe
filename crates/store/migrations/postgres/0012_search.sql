-- The audit of one thing, one kind of change, one person.
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_target ON audit (target, id);
CREATE INDEX audit_actor ON audit (actor_id, id) WHERE actor_id IS NOT NULL;

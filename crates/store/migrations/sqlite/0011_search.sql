-- Emails that wait: a page of them is shown without looking at all that wait.
CREATE INDEX emails_waiting ON emails (client, status) WHERE status IN (0, 1);

-- The audit of one thing, one kind of change, one person.
CREATE INDEX audit_action ON audit (action);
CREATE INDEX audit_target ON audit (target);
CREATE INDEX audit_actor ON audit (actor_id) WHERE actor_id IS NOT NULL;

-- +goose Up

-- A number that dispatch uses again begins a new life, an incident of its own; and an incident belongs to the source that told of it first.
ALTER TABLE incident ADD COLUMN life integer NOT NULL DEFAULT 1;
ALTER TABLE incident ADD COLUMN owner text;
ALTER TABLE incident DROP CONSTRAINT incident_incident_number;
ALTER TABLE incident ADD CONSTRAINT incident_number_life UNIQUE (incident_number, life);
UPDATE incident SET owner = (SELECT u.source FROM dispatch_update u
	WHERE u.incident_number = incident.incident_number AND u.cause IS NULL AND NOT u.void ORDER BY u.receive_time, u.epoch, u.sequence, u.source LIMIT 1);

-- A report that ends lets go of the incidents it carried.
CREATE INDEX incident_carried ON incident (matter_id) WHERE state = 2;
-- What a report carried to its end is done with it. News told after that is found by its later change and is the bureau's to look at: it is left
-- linked here, which `promises` counts, until its source or an officer says more.
UPDATE incident i SET state = 3 FROM report r
	WHERE i.state = 2 AND r.id = i.matter_id AND r.holder IS NULL AND i.update_time <= r.update_time;

-- Lists of incidents, whole and by division.
CREATE INDEX incident_newest ON incident (create_time DESC, id DESC);
CREATE INDEX incident_division ON incident (division text_pattern_ops, create_time DESC, id DESC);

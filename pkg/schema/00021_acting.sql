-- +goose Up

-- Which units may act on which kinds of items, from the contract and the district's access table. Each start of the service writes it anew, so
-- that promise 1 can count an item whose holder may do nothing with it without knowing the district.
CREATE TABLE acting_unit (
    kind   text NOT NULL,
    unit   text NOT NULL,
    opens  date,
    closes date,
    CONSTRAINT acting_unit_key PRIMARY KEY (kind, unit)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON acting_unit TO lianhu_app;

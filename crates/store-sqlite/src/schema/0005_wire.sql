-- How an endpoint's requests are made, and which events it wants of its topics.
ALTER TABLE endpoints ADD COLUMN filter TEXT;        -- NULL: all of them
ALTER TABLE endpoints ADD COLUMN wire TEXT NOT NULL DEFAULT '{}';
ALTER TABLE endpoints ADD COLUMN credentials BLOB;   -- sealed

-- What new endpoints of a tenant sign with, where they do not say.
ALTER TABLE tenants ADD COLUMN signature TEXT;

ALTER TABLE topics ADD COLUMN schema TEXT;

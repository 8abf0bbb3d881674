-- A PostgreSQL role for each location and one for people, for a lake or for a release in tables: run
-- it once, in the new database, as its owner, and then give each role a password:
--
--     psql -d birds -f deploy/lake_roles.sql
--     psql -d birds -c "ALTER ROLE databox_ingestion PASSWORD '…'"
--
-- A location writes the catalog of its own lake and reads those that are handed to it; people read
-- the release. Who may read and write the folder of the data is the storage's to say.
CREATE ROLE databox_ingestion LOGIN;
CREATE ROLE databox_transform LOGIN;
CREATE ROLE databox_quality LOGIN;
CREATE ROLE databox_reader LOGIN;

-- what was published: every location notes its own and asks for the others'
CREATE SCHEMA databox;
CREATE TABLE databox.handover (
    location text, id integer, version bigint NOT NULL, manifest jsonb NOT NULL,
    origin text, digests jsonb NOT NULL, PRIMARY KEY (location, id)
);
GRANT USAGE ON SCHEMA databox TO databox_ingestion, databox_transform, databox_quality;
GRANT SELECT, INSERT, DELETE ON databox.handover
    TO databox_ingestion, databox_transform, databox_quality;
ALTER TABLE databox.handover ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_all ON databox.handover FOR SELECT USING (true);
CREATE POLICY note_own ON databox.handover FOR INSERT
    WITH CHECK ('databox_' || location = current_user
                OR (location = 'release' AND current_user = 'databox_quality'));
CREATE POLICY forget_own ON databox.handover FOR DELETE
    USING ('databox_' || location = current_user
           OR (location = 'release' AND current_user = 'databox_quality'));

-- each makes the schema of its own catalog, and quality that of released tables, which it lets
-- databox_reader read; a released lake has the schema public
DO $$ BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO databox_ingestion, databox_transform, '
                   'databox_quality', current_database());
END $$;
GRANT CREATE ON SCHEMA public TO databox_quality;

ALTER DEFAULT PRIVILEGES FOR ROLE databox_ingestion
    GRANT USAGE ON SCHEMAS TO databox_transform, databox_quality;
ALTER DEFAULT PRIVILEGES FOR ROLE databox_ingestion
    GRANT SELECT ON TABLES TO databox_transform, databox_quality;
ALTER DEFAULT PRIVILEGES FOR ROLE databox_transform GRANT USAGE ON SCHEMAS TO databox_quality;
ALTER DEFAULT PRIVILEGES FOR ROLE databox_transform GRANT SELECT ON TABLES TO databox_quality;
ALTER DEFAULT PRIVILEGES FOR ROLE databox_quality IN SCHEMA public
    GRANT SELECT ON TABLES TO databox_reader;

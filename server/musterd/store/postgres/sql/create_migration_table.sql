-- Begin to note the migrations that the database has had.
CREATE TABLE migration (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    apply_time BIGINT NOT NULL,
    needs INTEGER NOT NULL -- the newest migration that a version has to know to work with this one
)

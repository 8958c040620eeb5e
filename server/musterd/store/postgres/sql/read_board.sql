-- Read whose board it is.
SELECT name, members FROM board WHERE team = $1

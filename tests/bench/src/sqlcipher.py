# Appends one file's bytes to an encrypted database for each line on standard input; says in one line how long it took, in ns.
import secrets
import sys
import time

import sqlcipher3

path, blob = sys.argv[1], open(sys.argv[2], "rb").read()
connection = sqlcipher3.connect(path, isolation_level=None)
connection.execute(f"PRAGMA key = \"x'{secrets.token_hex(32)}'\"")
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA synchronous = FULL")
connection.execute("CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL)")
print(connection.execute("PRAGMA cipher_version").fetchone()[0], flush=True)
for _ in sys.stdin:
    begin = time.perf_counter_ns()
    connection.execute("INSERT INTO record (sealed) VALUES (?)", (blob,))
    print(time.perf_counter_ns() - begin, flush=True)

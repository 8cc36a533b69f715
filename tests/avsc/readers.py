"""Archives as Avro files, opened by readers of others: fastavro, DuckDB's extension avro, Spark.

    readers.py DIR

DIR is what files.test.js left in TELEHUB_AVRO_OUT. Says which reader opened what; a reader that is
not installed is named as skipped. Exit status 1 when one reads anything other than what was
written.
"""

import glob
import io
import json
import os
import sys
from collections import Counter, defaultdict


def load(folder):
    written = defaultdict(Counter)
    with open(os.path.join(folder, "values.jsonl"), encoding="utf-8") as lines:
        for line in lines:
            value = json.loads(line)
            written[value["name"]][value["body"]] += 1
    files = defaultdict(list)
    for path in glob.glob(os.path.join(folder, "*", "date=*", "*.avro")):
        files[os.path.basename(path).split("-v")[0]].append(path)
    return written, files


def fail(sentence):
    print("FAILED: " + sentence)
    sys.exit(1)


def with_fastavro(written, files):
    try:
        import fastavro
    except ImportError:
        print("skipped: fastavro is not installed")
        return
    events = 0
    for name, bodies in written.items():
        found = Counter()
        for path in files[name]:
            with open(path, "rb") as stream:
                # Unions keep the name of their branch, so that the bytes can be made again.
                reader = fastavro.reader(
                    stream, return_record_name=True, return_named_type=True, handle_unicode_errors="strict"
                )
                schema = fastavro.parse_schema(reader.writer_schema)
                for event in reader:
                    out = io.BytesIO()
                    fastavro.schemaless_writer(out, schema, event)
                    found[out.getvalue().hex()] += 1
                    events += 1
        if found != bodies:
            fail(f"fastavro reads other {name} than were written")
    count = sum(len(paths) for paths in files.values())
    print(f"fastavro {fastavro.__version__}: {events} events of {len(written)} kinds in {count} files, byte for byte")


def load_extension(duckdb, connection):
    """From the package that carries it, else from DuckDB's own server."""
    try:
        import duckdb_extension_avro

        folder = os.path.dirname(duckdb_extension_avro.__file__)
        path = os.path.join(folder, "extensions", "v" + duckdb.__version__, "avro.duckdb_extension")
        connection.execute(f"LOAD '{path}'")
        return True
    except (ImportError, duckdb.Error) as error:
        print(f"  not from a package: {str(error).splitlines()[0]}")
    try:
        connection.execute("INSTALL avro")
        connection.execute("LOAD avro")
        return True
    except duckdb.Error as error:
        print(f"  not from DuckDB's server: {str(error).splitlines()[0]}")
    return False


def with_duckdb(written, files):
    try:
        import duckdb
    except ImportError:
        print("skipped: DuckDB is not installed")
        return
    connection = duckdb.connect()
    if not load_extension(duckdb, connection):
        print("skipped: DuckDB's extension avro cannot be had")
        return
    events = 0
    refused = []
    for name, bodies in written.items():
        query = f"SELECT count(*), count(meta.tenant) FROM read_avro({sorted(files[name])!r})"
        try:
            count, tenants = connection.execute(query).fetchone()
        except duckdb.Error as error:
            refused.append(f"{name}: {str(error).splitlines()[0]}")
            continue
        if count != sum(bodies.values()) or tenants != count:
            fail(f"DuckDB reads {count} {name}, {sum(bodies.values())} were written")
        events += count
    if refused:
        fail("DuckDB refuses " + "; ".join(refused))
    print(f"DuckDB {duckdb.__version__}: {events} events of {len(written)} kinds")


def with_spark(written, files):
    if not os.environ.get("TELEHUB_SPARK"):
        print("skipped: Spark (TELEHUB_SPARK=1 fetches it)")
        return
    jars = ",".join(glob.glob(os.path.join(sys.prefix, "jars", "spark-avro_*.jar")))
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        print("skipped: Spark is not installed")
        return
    if not jars:
        print("skipped: Spark has no spark-avro")
        return
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.jars", jars)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    events = 0
    for name, bodies in written.items():
        # As an analyst would: the topic's folder with its days, of one kind of event.
        (topic,) = {os.path.dirname(os.path.dirname(path)) for path in files[name]}
        rows = spark.read.format("avro").option("pathGlobFilter", f"{name}-v*.avro").load(topic)
        count, tenants, days = rows.selectExpr("count(*)", "count(meta.tenant)", "count(date)").first()
        if count != sum(bodies.values()) or tenants != count or days != count:
            fail(f"Spark reads {count} {name}, {sum(bodies.values())} were written")
        events += count
    print(f"Spark {spark.version}: {events} events of {len(written)} kinds, by day")
    spark.stop()


if __name__ == "__main__":
    expected = load(sys.argv[1])
    with_fastavro(*expected)
    with_duckdb(*expected)
    with_spark(*expected)

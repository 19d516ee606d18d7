"""Feeds of the operator's own switches: their real files, and invented ones where those are thin, up to the events.

Belongs here: what each switch's file becomes. Does not belong here: rules on rows (dbt unit tests), the loader.
"""

import csv
import datetime
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from conftest import REAL_FILES, needs_real_files

from orchestration import terms

SAMPLES = {
    "asterisk_cdr_csv_Master_multileg_linkedid_nonascii_pseudonymised.csv": "asterisk",
    "asterisk_cdr_custom_Master_quoted_sequence.csv": "asterisk",
    "freeswitch_cdr_csv_Master_signalwire_doc.csv": "freeswitch",
    "cisco_cucm_cdr_123col.csv": "cisco_cucm",
    "opensips_acc_flatstore_fullSuccessfull.txt": "opensips_acc",
    "opensips_acc_flatstore_fullMissed.txt": "opensips_acc",
    "broadworks_cdr.xml": "broadworks",
}
MULTILEG, CUSTOM, _, _, ANSWERED, MISSED, _ = SAMPLES

ROUTES = """
    asterisk,211474,,sakura-tel,2020-01-01,
    asterisk,211553,,nordlink,2020-01-01,
    asterisk,stadionpbx,,ponte-wholesale,2020-01-01,
    freeswitch,public,outbound,nordlink,2014-01-01,
    cisco_cucm,GATEWAY-A,,nordlink,2020-01-01,
    opensips_acc,gulf-1,,gulf-connect,2026-01-01,
    broadworks,gw04.cgrates.org,,nordlink,2016-01-01,
    broadworks,gw01.cgrates.org,inbound,gulf-connect,2016-01-01,
    broadworks,gw1.example,,gulf-connect,2026-01-01,
"""

ASTERISK_LINE = (
    '"acme","0039061","+4930{last}","in","caller","PJSIP/211553-0000000{last}","PJSIP/desk-0000000a","Dial","","'
    '2026-10-0{last} 12:00:00","2026-10-0{last} 12:00:01","2026-10-0{last} 12:00:31",31,30,"ANSWERED",'
    '"DOCUMENTATION","179000000{last}.1","","","179000000{last}.1",1\n'
)
INVENTED = {
    # The same file on two days: it has grown. A third one holds a caller's name in another code page.
    "asterisk/Master.csv": ASTERISK_LINE.format(last=1).encode(),
    "asterisk/Master.csv.1": (ASTERISK_LINE.format(last=1) + ASTERISK_LINE.format(last=2)).encode(),
    "asterisk/foreign.csv": ASTERISK_LINE.format(last=3).replace("caller", "Müller").encode("cp1252"),
    # Under the name that the server gives, with the line of types.
    "cisco_cucm/cdr_Cluster_01_202610011200_7": (
        b'"cdrRecordType","pkid","dateTimeOrigination","dateTimeConnect","dateTimeDisconnect","callingPartyNumber",'
        b'"finalCalledPartyNumber","origCause_value","destCause_value","origDeviceName","destDeviceName",'
        b'"clientMatterCode","columnOfTomorrow"\n'
        b"INTEGER,UNIQUEIDENTIFIER,INTEGER,INTEGER,INTEGER,VARCHAR(50),VARCHAR(50),INTEGER,INTEGER,VARCHAR(129),"
        b"VARCHAR(129),VARCHAR(32),INTEGER\n"
        b'1,"0a1b",1790856000,1790856005,1790856065,"+49301","+39061",0,16,"SEP1","GATEWAY-A","acme",1\n'
    ),
    # Two calls begin on one day, one of them ends on the next.
    "opensips_acc/acc-1.log": (
        b"INVITE|a1|z1|call-1|200|OK|1790899190|*rated|acme|0039061|gulf-1|7:1\n"
        b"INVITE|a2|z2|call-2|200|OK|1790899195|*rated|acme|0039062|gulf-1|7:2\n"
    ),
    "opensips_acc/acc-2.log": (
        b"BYE|z1|a1|call-1|200|OK|1790899280|||||7:1\nBYE|a9|z9|call-9|200|OK|1790899300|||||7:9\n"
    ),
}
BROADWORKS = """<?xml version="1.0" encoding="ISO-8859-1"?>
<broadWorksCDR version="19.0"><cdrData><headerModule>
  <recordId><eventCounter>{counter}</eventCounter><systemId>as1</systemId><date>{date}</date></recordId>
  <serviceProvider>acme</serviceProvider><type>{type}</type></headerModule>
  <basicModule><userNumber>+49301</userNumber><direction>Originating</direction><callingNumber>+49301</callingNumber>
  <calledNumber>+39061</calledNumber><startTime>20261001210000.500</startTime><localCallId>9:0</localCallId>
  <answerIndicator>Yes</answerIndicator><answerTime>20261001210002.250</answerTime>{end}</basicModule>
  <ipModule><route>gw1.example</route></ipModule></cdrData></broadWorksCDR>
"""
INVENTED |= {
    "broadworks/1.xml": BROADWORKS.format(counter=1, date="20261002000000.000", type="Interim", end="").encode(),
    "broadworks/2.xml": BROADWORKS.format(
        counter=2, date="20261001210000.500", type="Normal", end="<releaseTime>20261002003000.000</releaseTime>"
    ).encode(),
}


@pytest.fixture(scope="module")
def warehouse(
    staged: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    """All files landed and staged, under terms that know their trunks."""
    folder = tmp_path_factory.mktemp("switches")
    usage = folder / "landing" / "usage"
    for feed in sorted({*SAMPLES.values()}):
        (usage / feed).mkdir(parents=True)
    for name, content in INVENTED.items():
        (usage / name).write_bytes(content)
    for name, feed in SAMPLES.items():
        if REAL_FILES.is_dir():
            shutil.copy(REAL_FILES / "usage" / name, usage / feed)
    shutil.copytree(terms.DEMO_TERMS, folder / "terms")
    with (folder / "terms" / "routes.csv").open("a") as routes:
        routes.writelines(f"{line.strip()}\n" for line in ROUTES.strip().splitlines())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOLLGATE_TERMS", str(folder / "terms"))
        path = staged(folder / "landing")
    with duckdb.connect(str(path)) as connection:
        yield connection


def rows_of(warehouse: duckdb.DuckDBPyConnection, file_name: str, columns: str) -> list[tuple]:
    """The staged rows of a file, in its order."""
    feed = SAMPLES.get(file_name) or next(name for name in INVENTED if name.endswith(f"/{file_name}")).split("/")[0]
    return warehouse.execute(
        f"""
        select {columns} from stage.stg_usage__{feed} as staged
        inner join ingest.files using (file_id) where files.file_name = ? order by record_number
        """,
        [file_name],
    ).fetchall()


def instant(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


# What lands ---------------------------------------------------------------------------------------------------------


@needs_real_files
@pytest.mark.parametrize("name", SAMPLES)
def test_each_record_of_a_real_file_is_loaded_or_quarantined(warehouse, name: str):
    text = (REAL_FILES / "usage" / name).read_text(encoding="utf-8")
    if name.endswith(".xml"):
        count = text.count("<cdrData>")
    else:
        count = len([line for line in text.splitlines() if line]) - text.startswith("cdrRecordType")
    loaded, quarantined = (0, count) if name == CUSTOM else (count, 0)
    assert warehouse.execute(
        "select outcome, loaded_count, quarantined_count from ingest.files where file_name = ?", [name]
    ).fetchall() == [("loaded", loaded, quarantined)]


@needs_real_files
def test_a_file_of_another_column_list_is_not_read_by_position(warehouse):
    """cdr_custom writes 19 columns in the operator's own order; read as 21 it would bill the caller's name."""
    reasons = warehouse.execute(
        "select distinct reason_code from ingest.quarantine where file_name = ?", [CUSTOM]
    ).fetchall()
    assert reasons == [("wrong_column_count",)]


def test_a_callers_name_in_another_code_page_fails_its_file_loudly(warehouse):
    ((outcome, message),) = warehouse.execute(
        "select outcome, message from ingest.files where file_name = 'foreign.csv'"
    ).fetchall()
    assert outcome == "failed"
    assert "line 1 is not utf-8 text" in message


def test_readable_rows_are_events_and_their_copies(warehouse):
    """Each accepted row is in one event and each refused one in none, though the views see all files at once."""
    collected, events = "stage.int_events_collected", "stage.int_events_deduplicated"
    assert warehouse.execute(
        f"select sum(record_count), count(*), count(distinct event_id) from {events}"
    ).fetchone() == (
        *warehouse.execute(f"select count(*) from {collected} where refusal_reason is null").fetchone(),
        *warehouse.execute(f"select count(distinct event_id) from {collected} where refusal_reason is null").fetchone()
        * 2,
    )
    assert warehouse.execute(f"select count(*) from {events} where is_restated").fetchone() == (0,)


# Asterisk -----------------------------------------------------------------------------------------------------------


@needs_real_files
def test_asterisk_counts_each_carriers_call_once(warehouse):
    """Eighteen real rows: eight calls came in, four attempts went out by a trunk, three rows are no carrier's."""
    came_in, went_out = ["sakura-tel", "nordlink"], "ponte-wholesale"
    rows = rows_of(
        warehouse, MULTILEG, "record_number, source_event_id, carrier_id, event_status, quantity, refusal_reason"
    )
    calls = {row[1:5] for row in rows if row[2] in came_in and row[5] is None}
    assert calls == {
        ("1706368044.0", "sakura-tel", "answered", Decimal(27)),
        ("1706369476.4", "sakura-tel", "answered", Decimal(10)),
        ("1706369600.6", "nordlink", "answered", Decimal(60)),
        ("1706372196.12", "nordlink", "no_answer", Decimal(0)),
        ("1706407446.50", "nordlink", "answered", Decimal(17)),
        ("1706413165.93", "sakura-tel", "answered", Decimal(43)),
        ("1706415046.98", "nordlink", "answered", Decimal(30)),
        ("mainserverdss-1706420300.0", "nordlink", "answered", Decimal(16)),
    }
    assert [row[:2] + row[3:5] for row in rows if row[2] == went_out and row[5] is None] == [
        # Thirty seconds in the file, since the caller was connected; the trunk itself never answered.
        (4, "1706369600.6/6/1706369600.6", "no_answer", Decimal(0)),
        (14, "1706413165.93/78/1706413165.93", "no_answer", Decimal(0)),
        (16, "1706415046.98/82/1706415046.98", "answered", Decimal(30)),
        (18, "mainserverdss-1706420300.0/3/mainserverdss-1706420300.0", "no_answer", Decimal(0)),
    ]
    refused = {row[0]: row[5] for row in rows if row[5]}
    assert refused == {6: "destination_unreadable", 7: "destination_unreadable", 9: "destination_unreadable"}


@needs_real_files
def test_the_epoch_in_asterisks_uniqueid_proves_the_declared_zone(warehouse):
    """A call starts with its channel, or while it lasts; a wrong zone would put them hours apart."""
    for event_id, started_at in rows_of(warehouse, MULTILEG, "source_event_id, started_at"):
        epoch = int(re.search(r"(\d{10})\.", event_id).group(1))
        created_at = datetime.datetime.fromtimestamp(epoch, datetime.UTC).replace(tzinfo=None)
        assert abs(started_at - created_at) <= datetime.timedelta(seconds=1)


def test_a_master_file_that_grew_brings_its_older_rows_as_copies(warehouse):
    events = warehouse.execute(
        """
        select event_id, direction, account_id, carrier_id, destination, quantity, record_count
        from stage.int_events_deduplicated where feed = 'asterisk' and account_id = 'acme' order by all
        """
    ).fetchall()
    assert events == [
        ("asterisk:1790000001.1", "inbound", "acme", "nordlink", "49301", Decimal(30), 2),
        ("asterisk:1790000002.1", "inbound", "acme", "nordlink", "49302", Decimal(30), 1),
    ]


# FreeSWITCH ---------------------------------------------------------------------------------------------------------


@needs_real_files
def test_freeswitch_spells_one_number_in_four_ways_and_one_is_refused(warehouse):
    name = "freeswitch_cdr_csv_Master_signalwire_doc.csv"
    rows = rows_of(warehouse, name, "destination, carrier_id, event_status, quantity, refusal_reason")
    read = ("34688886392", "nordlink", "cancelled", Decimal(0), None)
    unread = ("034688886392", "nordlink", "cancelled", Decimal(0), "destination_not_international")
    assert rows == [read, read, read, read, unread]


@needs_real_files
def test_the_instant_in_freeswitchs_uuid_proves_the_declared_zone(warehouse):
    name = "freeswitch_cdr_csv_Master_signalwire_doc.csv"
    for event_id, started_at in rows_of(warehouse, name, "source_event_id, started_at"):
        ticks = uuid.UUID(event_id).time // 10  # microseconds since the calendar that version 1 counts from
        created_at = datetime.datetime(1582, 10, 15) + datetime.timedelta(microseconds=ticks)
        assert abs(started_at - created_at) <= datetime.timedelta(seconds=1)


# Cisco --------------------------------------------------------------------------------------------------------------


@needs_real_files
def test_cisco_seconds_are_those_between_connect_and_disconnect(warehouse):
    """The first real row says 125 in `duration`: five seconds of ringing, which no carrier charges."""
    name = "cisco_cucm_cdr_123col.csv"
    with (REAL_FILES / "usage" / name).open(encoding="utf-8", newline="") as file:
        stated = [int(row["duration"]) for row in csv.DictReader(file)]
    rows = rows_of(warehouse, name, "direction, carrier_id, origin, destination, quantity, started_at, refusal_reason")
    assert stated == [125, 101, 125]
    assert rows == [
        ("inbound", "nordlink", "15551234567", "15559876543", Decimal(120), instant("2020-04-19 19:22:35"), None),
        ("inbound", "nordlink", "15558765432", "15559876543", Decimal(101), instant("2020-04-19 19:26:27"), None),
        ("outbound", "nordlink", "15559876543", "15558765432", Decimal(125), instant("2020-04-19 19:31:32"), None),
    ]


def test_a_cisco_file_comes_under_its_own_name_with_a_line_of_types(warehouse):
    rows = rows_of(warehouse, "cdr_Cluster_01_202610011200_7", "source_event_id, account_id, quantity, refusal_reason")
    assert rows == [
        ("UNIQUEIDENTIFIER", "VARCHAR(32)", None, "line_of_column_types"),
        ("0a1b", "acme", Decimal(60), None),
    ]


# OpenSIPS -----------------------------------------------------------------------------------------------------------


@needs_real_files
def test_opensips_invites_and_byes_are_calls_that_no_supplier_carries(warehouse):
    """The real calls are between two subscribers: understood to the last second, and no carrier's."""
    columns = "account_id, destination, event_status, quantity, started_at, refusal_reason"
    calls = [
        ("1001", "1002", "answered", Decimal(2), instant("2015-07-09 15:06:48"), "route_unknown"),
        ("1002", "1001", "answered", Decimal(4), instant("2015-07-09 15:10:47"), "route_unknown"),
        ("1001", "1002", "answered", Decimal(4), instant("2015-07-09 15:10:57"), "route_unknown"),
        ("1001", "1002", "answered", Decimal(2), instant("2015-07-09 15:11:30"), "route_unknown"),
    ]
    assert rows_of(warehouse, ANSWERED, columns) == [row for call in calls for row in (call, call)]
    assert rows_of(warehouse, MISSED, columns) == [
        ("1001", "1002", "cancelled", Decimal(0), instant("2015-07-09 15:10:43"), "route_unknown"),
        ("1001", "1002", "failed", Decimal(0), instant("2015-07-09 15:11:08"), "route_unknown"),
        ("1002", "1001", "busy", Decimal(0), instant("2015-07-09 15:11:27"), "route_unknown"),
    ]


def test_a_bye_that_comes_with_the_next_file_ends_its_call(warehouse):
    columns = "source_event_id, carrier_id, destination, event_status, quantity, refusal_reason"
    ended = ("call-1|a1|z1", "gulf-connect", "39061", "answered", Decimal(90), None)
    going_on = ("call-2|a2|z2", "gulf-connect", "39062", "pending", Decimal(0), None)
    assert rows_of(warehouse, "acc-1.log", columns) == [ended, going_on]
    first, second = rows_of(warehouse, "acc-2.log", columns)
    assert first == ended
    assert second[5] == "invite_missing"


# BroadWorks ---------------------------------------------------------------------------------------------------------


@needs_real_files
def test_broadworks_seconds_are_computed_and_its_times_are_utc(warehouse):
    """The switch's own call id holds 230005 of its clock, two hours ahead: 21:00:05 in the record is UTC already."""
    rows = rows_of(
        warehouse, "broadworks_cdr.xml", "direction, carrier_id, destination, quantity, started_at, refusal_reason"
    )
    begin, outgoing, incoming, end = rows
    started_at = instant("2016-04-19 21:00:05.247")
    assert outgoing == ("outbound", "nordlink", "4915117174963", Decimal("13.483"), started_at, None)
    # Neither number is the user's, so only the terms know the direction of the second call.
    started_at = instant("2016-04-19 21:00:06.909")
    assert incoming == ("inbound", "gulf-connect", "1001", Decimal("23.285"), started_at, None)
    assert begin[5] == end[5] == "mark_of_the_file"


def test_a_partial_broadworks_record_gives_way_to_the_complete_one(warehouse):
    events = warehouse.execute(
        """
        select event_id, event_status, quantity, record_count
        from stage.int_events_deduplicated where feed = 'broadworks' and account_id = 'acme'
        """
    ).fetchall()
    assert events == [("broadworks:as1/9:0/20261001210000.500", "answered", Decimal("12597.750"), 2)]

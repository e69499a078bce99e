"""The tables of docs/grouping.md: what the templates of messages keep, and what they replace."""

from collections.abc import Sequence

from ingest.fingerprint.templates import template

VARIES = (
    ("numbers, counts, sizes, durations", "1 item rejected after 1.5 s", "14 items rejected after 30 s"),
    ("ids of every make", "run 9f86d081-884c-4d65-a62f-ea0c55ad015a failed", "run 01HRA4C9ZK8Q2V5J1N7XH3DTBM failed"),
    ("ids with a name before them", "order A-100231 of cus_Nff3kLs92xQa", "order B-7 of cus_9ZqPaa71bbQ0"),
    ("hashes, pointers", "commit 9f86d081884c at 0xc00012e000", "commit a3bf4f1b2b0b at 0xc0007a4180"),
    ("times", "last seen 2026-11-24T09:12:44Z", "last seen Nov 3 17:00:09"),
    ("addresses and ports", "connect ECONNREFUSED 10.0.0.1:5432", "connect ECONNREFUSED ::1:6432"),
    ("hosts", "lookup db-1.acme.internal failed", "lookup db-2.acme.internal failed"),
    ("pods", "pod api-7c9d8b6f5-x2x9k evicted", "pod api-6f5d4c7b98-q8hzt evicted"),
    ("URLs", "GET https://a.example/orders/17 failed", "GET https://b.example/?x=1 failed"),
    ("paths and files of data", "cannot read /home/kim/scan.pdf", "cannot read /tmp/x/invoice.pdf"),
    ("what is quoted", "no price for 'Nordwind'", 'no price for "Müller & Söhne"'),
    ("what is assigned", "tenant=acme is locked", "tenant=nordwind is locked"),
    ("what was masked", "no mailbox for [masked:email:1f3a9c04]", "no mailbox for [masked:email:99aa0b1c]"),
    ("tries", "HTTP 503 (attempt 1/5), retrying in 2 s", "HTTP 503 (attempt 5/5), giving up"),
    ("bodies", 'answer is no JSON: {"items": [{"sku": "A-1", "q', 'answer is no JSON: {"items": [{"sku":'),
    ("details of databases", "deadlock detected\nDETAIL:  Process 12 waits", "deadlock detected\nDETAIL:  Process 9"),
    ("what engines word differently", "Failed to fetch", "NetworkError when attempting to fetch resource."),
)
TELLS = (
    ("status", "HTTP 502", "HTTP 404"),
    ("errno, codes of errors", "[Errno 28] failed", "[Errno 5] failed"),
    ("exit codes, signals", "exited with code 137", "exited with code 1"),
    ("SQLSTATE, numbers of vendors", "SQLSTATE[42S02]: failed", "SQLSTATE[42S22]: failed"),
    ("gRPC", "rpc error: code = NotFound", "rpc error: code = Unavailable"),
    ("columns, tables, constraints", 'column "emial" does not exist', 'column "totl" does not exist'),
    ("fields, keys, arguments", "missing field `customer_id`", "missing field `amount`"),
    ("modules, queues, topics, templates", "no queue 'emails'", "no queue 'invoices'"),
    ("names as programs have them", "key not found: 'S3_BUCKET'", "key not found: 'SMTP_HOST'"),
    ("the program's files", "panicked at src/parse/header.rs:10:32", "panicked at src/ledger/balance.rs:7:1"),
    ("codes and fields in a body", 'HTTP 400: {"error": "invalid_grant"}', 'HTTP 400: {"error": "invalid_scope"}'),
)


def _cell(text: str) -> str:
    return "`` " + text.replace("\n", "⏎").replace("|", "\\|") + " ``"


def varies() -> Sequence[str]:
    """What doesn't count, by an example."""
    rows = [f"| {what} | {_cell(one)} | {_cell(other)} | {_cell(template(one))} |" for what, one, other in VARIES]
    return ("| what | one | is the same as | because both are |", "|---|---|---|---|", *rows)


def tells() -> Sequence[str]:
    """What counts, by an example."""
    rows = [f"| {what} | {_cell(template(one))} | {_cell(template(other))} |" for what, one, other in TELLS]
    return ("| what | one | is another than |", "|---|---|---|", *rows)

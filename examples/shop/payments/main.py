"""Payments: books what was paid in a SQLite file of its own."""

import os
import sqlite3
import threading
import uuid

from service import HttpError, Service

DATABASE = os.environ.get("DATABASE", "/data/payments.db")
LIMIT = int(os.environ.get("PAYMENT_LIMIT", "10000000"))
lock = threading.Lock()
connection = sqlite3.connect(DATABASE, check_same_thread=False, isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("CREATE TABLE IF NOT EXISTS payments (id TEXT PRIMARY KEY, customer TEXT, amount INTEGER)")


def ready():
    with lock:
        connection.execute("SELECT count(*) FROM payments").fetchone()


service = Service("payments", ready)


@service.route("POST", "/payments")
def pay(body):
    amount = (body or {}).get("amount")
    if not isinstance(amount, int) or amount <= 0:
        raise HttpError(400, "a payment needs an amount above 0")
    if amount > LIMIT:
        raise HttpError(402, f"payments are limited to {LIMIT}")
    payment = str(uuid.uuid4())
    with lock:
        connection.execute("INSERT INTO payments VALUES (?, ?, ?)", (payment, str(body.get("customer", "")), amount))
    return 201, {"id": payment, "amount": amount}


@service.route("GET", "/payments/{payment}")
def one(_body, payment):
    with lock:
        row = connection.execute("SELECT id, customer, amount FROM payments WHERE id = ?", (payment,)).fetchone()
    if row is None:
        raise HttpError(404, f"there is no payment {payment!r}")
    return 200, dict(zip(("id", "customer", "amount"), row))


if __name__ == "__main__":
    service.serve()

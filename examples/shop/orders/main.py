"""Orders: takes an order for what is in a cart, has it paid, and remembers it in PostgreSQL."""

import os
import threading

import psycopg2

from service import HttpError, Service, call

CATALOG = os.environ["CATALOG_URL"]
CART = os.environ["CART_URL"]
PAYMENTS = os.environ["PAYMENTS_URL"]

local = threading.local()


def database():
    """Returns this thread's connection, made anew when it broke."""
    connection = getattr(local, "connection", None)
    if connection is None or connection.closed:
        connection = psycopg2.connect(connect_timeout=3)  # from PGHOST, PGUSER, PGPASSWORD, PGDATABASE
        connection.autocommit = True
        local.connection = connection
    return connection


def execute(statement, parameters=()):
    try:
        with database().cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        local.connection = None
        raise


def prepare():
    execute("""CREATE TABLE IF NOT EXISTS orders (
        id bigserial PRIMARY KEY, customer text NOT NULL, total bigint NOT NULL,
        payment text NOT NULL, placed timestamptz NOT NULL DEFAULT now())""")


prepared = threading.Event()


def ready():
    if not prepared.is_set():
        prepare()
        prepared.set()
    execute("SELECT 1")


service = Service("orders", ready)


@service.route("POST", "/orders")
def place(body):
    if not isinstance(body, dict) or not body.get("customer"):
        raise HttpError(400, "an order needs a customer")
    customer = str(body["customer"])
    items = call("GET", f"{CART}/carts/{customer}")["items"]
    if not items:
        raise HttpError(409, f"the cart of {customer!r} is empty")
    prices = {product["id"]: product["price"] for product in call("GET", f"{CATALOG}/products")}
    unknown = [item for item in items if item not in prices]
    if unknown:
        raise HttpError(409, f"the catalog has no product {unknown[0]!r}")
    total = sum(prices[item] * count for item, count in items.items())
    payment = call("POST", f"{PAYMENTS}/payments", {"customer": customer, "amount": total})
    (order,) = execute("INSERT INTO orders (customer, total, payment) VALUES (%s, %s, %s) RETURNING id",
                       (customer, total, payment["id"]))
    call("DELETE", f"{CART}/carts/{customer}")
    return 201, {"id": order[0], "customer": customer, "total": total, "payment": payment["id"]}


@service.route("GET", "/orders")
def recent(_body):
    rows = execute("SELECT id, customer, total, payment FROM orders ORDER BY id DESC LIMIT 50")
    return 200, [dict(zip(("id", "customer", "total", "payment"), row)) for row in rows]


@service.route("GET", "/orders/{order}")
def one(_body, order):
    rows = execute("SELECT id, customer, total, payment FROM orders WHERE id::text = %s", (order,))
    if not rows:
        raise HttpError(404, f"there is no order {order!r}")
    return 200, dict(zip(("id", "customer", "total", "payment"), rows[0]))


if __name__ == "__main__":
    service.serve()

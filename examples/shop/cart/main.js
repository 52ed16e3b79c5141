// Carts: what a customer is about to order, in Redis.
'use strict';
const net = require('node:net');
const { Service, HttpError } = require('./service.js');

// A Redis client of the few commands that a cart needs (RESP 2), one connection, requests in order.
class Redis {
  constructor(host, port) {
    this.address = { host, port };
    this.waiting = [];
    this.buffer = Buffer.alloc(0);
    this.socket = null;
  }

  connect() {
    if (this.socket) return;
    this.socket = net.connect(this.address);
    this.socket.on('data', (data) => {
      this.buffer = Buffer.concat([this.buffer, data]);
      for (let parsed; (parsed = parse(this.buffer, 0)); ) {
        this.buffer = this.buffer.subarray(parsed.end);
        const { resolve, reject } = this.waiting.shift();
        if (parsed.value instanceof Error) reject(parsed.value);
        else resolve(parsed.value);
      }
    });
    const lost = (error) => {
      const waiting = this.waiting;
      this.waiting = [];
      this.buffer = Buffer.alloc(0);
      this.socket = null;
      for (const { reject } of waiting) reject(new HttpError(502, `redis: ${error ? error.message : 'connection closed'}`));
    };
    this.socket.once('error', lost);
    this.socket.once('close', () => lost());
  }

  command(...words) {
    this.connect();
    const text = `*${words.length}\r\n` + words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`).join('');
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.socket.write(text);
    });
  }
}

// Returns {value, end}, or null when the answer is not complete yet.
function parse(buffer, at) {
  const line = buffer.indexOf('\r\n', at);
  if (line < 0) return null;
  const text = buffer.toString('utf8', at + 1, line);
  const next = line + 2;
  switch (String.fromCharCode(buffer[at])) {
    case '+': return { value: text, end: next };
    case '-': return { value: new Error(text), end: next };
    case ':': return { value: Number(text), end: next };
    case '$': {
      const length = Number(text);
      if (length < 0) return { value: null, end: next };
      if (buffer.length < next + length + 2) return null;
      return { value: buffer.toString('utf8', next, next + length), end: next + length + 2 };
    }
    case '*': {
      const items = [];
      let end = next;
      for (let count = Number(text); count > 0; count -= 1) {
        const item = parse(buffer, end);
        if (!item) return null;
        items.push(item.value);
        end = item.end;
      }
      return { value: items, end };
    }
    default: throw new Error('redis sent something that is not RESP');
  }
}

const redis = new Redis(process.env.REDIS_HOST, Number(process.env.REDIS_PORT || 6379));
const service = new Service('cart', () => redis.command('PING'));

async function cart(customer) {
  const flat = await redis.command('HGETALL', `cart:${customer}`);
  const items = {};
  for (let index = 0; index < flat.length; index += 2) items[flat[index]] = Number(flat[index + 1]);
  return { customer, items };
}

service.route('GET', '/carts/{customer}', async ({ customer }) => [200, await cart(customer)]);
service.route('POST', '/carts/{customer}/items', async ({ customer }, body) => {
  const count = body && body.count === undefined ? 1 : body && body.count;
  if (!body || typeof body.product !== 'string' || !Number.isInteger(count) || count < 1) {
    throw new HttpError(400, 'an item needs a product and a count of at least 1');
  }
  await redis.command('HINCRBY', `cart:${customer}`, body.product, count);
  await redis.command('EXPIRE', `cart:${customer}`, 86400);
  return [201, await cart(customer)];
});
service.route('DELETE', '/carts/{customer}', async ({ customer }) => {
  await redis.command('DEL', `cart:${customer}`);
  return [200, { customer, items: {} }];
});
service.serve();

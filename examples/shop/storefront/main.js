// The storefront: the page that customers see, and the API behind it.
'use strict';
const { Service, call } = require('./service.js');

const { CATALOG_URL, CART_URL, ORDERS_URL } = process.env;
const TITLE = process.env.TITLE || 'Maru shop';
const service = new Service('storefront');
const escape = (text) => String(text).replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);

service.route('GET', '/', async () => {
  const [products, orders] = await Promise.all([call('GET', `${CATALOG_URL}/products`), call('GET', `${ORDERS_URL}/orders`)]);
  const list = (items, text) => `<ul>${items.map((item) => `<li>${text(item)}</li>`).join('')}</ul>`;
  return [200, `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(TITLE)}</title>
<style>body{font:16px/1.5 system-ui;max-width:40rem;margin:2rem auto;padding:0 1rem}</style>
<h1>${escape(TITLE)}</h1><h2>Products</h2>${list(products, (one) => `${escape(one.name)}: ${one.price} KRW`)}
<h2>Latest orders</h2>${orders.length ? list(orders, (one) => `#${one.id} ${escape(one.customer)}: ${one.total} KRW`) : '<p>none yet</p>'}</html>`];
});
service.route('GET', '/api/products', async () => [200, await call('GET', `${CATALOG_URL}/products`)]);
service.route('GET', '/api/carts/{customer}', async ({ customer }) => [200, await call('GET', `${CART_URL}/carts/${customer}`)]);
service.route('POST', '/api/carts/{customer}/items', async ({ customer }, body) => [201, await call('POST', `${CART_URL}/carts/${customer}/items`, body)]);
service.route('GET', '/api/orders', async () => [200, await call('GET', `${ORDERS_URL}/orders`)]);
service.route('POST', '/api/orders', async (_, body) => [201, await call('POST', `${ORDERS_URL}/orders`, body)]);
service.serve();

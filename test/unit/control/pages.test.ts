import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Endpoint } from '../../../src/base/addresses.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import { HttpDoor } from '../../../src/control/http-door.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';

let folder: string;
let door: HttpDoor;
let at: Endpoint;

beforeEach(async () => {
  folder = tempFolder('pages');
  mkdirSync(join(folder, 'assets'));
  for (const [name, text] of [
    ['index.html', '<!doctype html><title>home</title>'],
    ['phone.html', '<!doctype html><title>phone</title>'],
    ['assets/app.js', 'export {};'],
    ['assets/style.css', 'p {}'],
    ['notes.md', 'not a page'],
    ['.secret.txt', 'not a page'],
    ['a:b*.txt', 'odd name'],
  ] as const) {
    writeFileSync(join(folder, name), text);
  }
  const deps = { clock: new FakeClock(), log: createLog('silent'), metrics: new Metrics(), readiness: () => ({ ready: true }) };
  door = new HttpDoor(deps, { bind: '127.0.0.1', port: 0, api: { projects: [], host: () => undefined, pages: folder } });
  at = await door.start();
});
afterEach(async () => {
  await door.stop();
  removeFolder(folder);
});

const get = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${at.port}${path}`, init);

test.each([
  ['/', 'text/html; charset=utf-8', 'home'],
  ['/?from=mail', 'text/html; charset=utf-8', 'home'],
  ['/phone', 'text/html; charset=utf-8', 'phone'],
  ['/assets/app.js', 'text/javascript; charset=utf-8', 'export'],
  ['/assets/style.css', 'text/css; charset=utf-8', 'p {}'],
])('%s is served as %s', async (path, type, text) => {
  const response = await get(path);
  expect([response.status, response.headers.get('content-type')]).toEqual([200, type]);
  expect(await response.text()).toContain(text);
});

test.each([
  '/a:b*.txt',
  '/a:b%2A.txt',
  '/index.html',
  '/notes.md',
  '/.secret.txt',
  '/assets',
  '/assets/',
  '/assets/../notes.md',
  '/%2e%2e/pages',
  '/phone/',
])('%s is not there', async (path) => {
  expect((await get(path)).status).toBe(404);
});

test('pages are for everybody, load nothing from elsewhere and are framed by nobody', async () => {
  const response = await get('/', { headers: { 'x-forwarded-for': '192.0.2.1', origin: 'https://other.example' } });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  expect(response.headers.get('permissions-policy')).toContain('microphone=(self)');
  expect(response.headers.has('access-control-allow-origin')).toBe(false);
});

test('what has not changed is not sent again', async () => {
  const etag = (await get('/')).headers.get('etag') ?? '';
  expect(etag).toMatch(/^"[\w-]{27}"$/);
  expect((await get('/phone')).headers.get('etag')).not.toBe(etag);
  const again = await get('/', { headers: { 'if-none-match': etag } });
  expect([again.status, await again.text(), again.headers.get('cache-control')]).toEqual([304, '', 'no-cache']);
  expect((await get('/', { method: 'POST' })).status).toBe(405);
});

import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Tool } from '@modelcontextprotocol/client';
import { afterEach, describe, expect, test } from 'vitest';
import { AddressFence } from '../../src/base/address-fence.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { issueCertificate } from '../../src/control/x509.ts';
import { FencedFetch, type ResolveName } from '../../src/realtime/mcp/fenced-fetch.ts';
import { McpConnection, type McpEndpoint } from '../../src/realtime/mcp/mcp-connection.ts';
import type { McpFault } from '../../src/realtime/mcp/mcp-fault.ts';
import { type HttpServer, serveHttp } from '../support/mcp-servers.ts';
import { eventually, within } from '../support/wait.ts';

/* Servers of tools that mean no good, or are broken: each has its outcome, in bounded time and memory, and none of them is the end of us. */

/** Long enough for a machine that is busy. */
const LIMITS = { listTimeoutMs: 10_000, callTimeoutMs: 10_000 };
/** For servers that never answer. */
const SHORT = { listTimeoutMs: 500, callTimeoutMs: 500 };
const SHORT_CALLS = { ...LIMITS, callTimeoutMs: 500 };
const loopback = new AddressFence([{ address: '127.0.0.0', bits: 8 }]);
const nobody = new AddressFence([]);
const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Rpc {
  readonly id?: number | string;
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

/** Answers a message in its own way; false: as a decent server would. */
type Script = (message: Rpc, response: ServerResponse, request: IncomingMessage) => boolean;

const TOOL: Tool = { name: 'echo', inputSchema: { type: 'object' } };

async function serve(script: Script, onGet?: (response: ServerResponse) => void): Promise<HttpServer> {
  const server = await serveHttp((request, response) => {
    response.on('error', () => {});
    if (request.method !== 'POST') {
      if (onGet && request.method === 'GET') onGet(response);
      else response.writeHead(405).end();
      return;
    }
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      const message = JSON.parse(body) as Rpc;
      if (!script(message, response, request)) decent(message, response);
    });
  });
  ends.push(() => server.stop());
  return server;
}

function decent({ id, method }: Rpc, response: ServerResponse): void {
  if (id === undefined) response.writeHead(202).end();
  else if (method === 'initialize') {
    result(response, id, {
      protocolVersion: '2025-06-18',
      capabilities: { tools: { listChanged: true } },
      serverInfo: { name: 's', version: '1' },
    });
  } else if (method === 'tools/list') result(response, id, { tools: [TOOL] });
  else if (method === 'tools/call') result(response, id, { content: [{ type: 'text', text: 'ok' }] });
  else json(response, { jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } });
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function result(response: ServerResponse, id: Rpc['id'], value: unknown): void {
  json(response, { jsonrpc: '2.0', id, result: value });
}

function events(response: ServerResponse): ServerResponse {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  return response;
}

async function open(endpoint: McpEndpoint, fence = loopback, resolve?: ResolveName, limits = LIMITS): Promise<McpConnection> {
  const connection = await McpConnection.open({ clock: systemClock, log: createLog('silent'), fence, resolve }, endpoint, limits);
  ends.push(() => connection.close());
  return connection;
}

const http = (url: string, headers: Readonly<Record<string, string>> = {}): McpEndpoint => ({ type: 'http', url, headers });

/** How it fails, within the bounds. */
async function faultOf(promise: Promise<unknown>): Promise<McpFault> {
  return within(
    promise.then(
      () => Promise.reject(new Error('it did not fail')),
      (fault: McpFault) => fault,
    ),
    15_000,
    'the fault',
  );
}

const call = (connection: McpConnection) => connection.callTool(TOOL, {}, new AbortController().signal);

/** What becomes of a call when the server answers calls in this way. */
async function called(script: (id: Rpc['id'], response: ServerResponse) => void, limits = LIMITS): Promise<McpFault> {
  const server = await serve(({ id, method }, response) => {
    if (method !== 'tools/call') return false;
    script(id, response);
    return true;
  });
  return faultOf(call(await open(http(server.url), loopback, undefined, limits)));
}

describe('a call of a server', () => {
  test.each<[string, string, (id: Rpc['id'], response: ServerResponse) => void]>([
    ['HTML', 'nonsense', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>')],
    ['no JSON', 'nonsense', (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":')],
    ['no JSON-RPC', 'nonsense', (_, response) => json(response, { hello: 'world' })],
    ['a result that is none', 'nonsense', (id, response) => result(response, id, { content: 'text' })],
    ['500', 'refused', (_, response) => response.writeHead(500).end('secret stack trace')],
    [
      '401',
      'refused',
      (_, response) => response.writeHead(401, { 'www-authenticate': 'Bearer resource_metadata="http://10.0.0.1/"' }).end(),
    ],
    [
      '403 with a scope',
      'refused',
      (_, response) => response.writeHead(403, { 'www-authenticate': 'Bearer error="insufficient_scope"' }).end(),
    ],
    ['a redirect', 'redirected', (_, response) => response.writeHead(307, { location: '/mcp' }).end()],
    ['an error', 'failed', (id, response) => json(response, { jsonrpc: '2.0', id, error: { code: -32000, message: 'No.' } })],
    [
      'a body that breaks off',
      'gone',
      (_, response) =>
        void response
          .writeHead(200, { 'content-type': 'application/json', 'content-length': '100' })
          .write('{"a', () => response.destroy()),
    ],
    ['the end of the connection', 'unreachable', (_, response) => response.destroy()],
    [
      'something compressed',
      'nonsense',
      (_, response) => response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end('x'),
    ],
    ['headers without end', 'too_large', (_, response) => response.writeHead(200, { 'x-long': 'x'.repeat(40_000) }).end()],
    ['a status that is none', 'nonsense', (_, response) => response.socket?.end('HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n')],
    ['what is no HTTP', 'nonsense', (_, response) => response.socket?.end('SSH-2.0-OpenSSH_9.2\r\n')],
    ['nothing', 'stuck', () => {}],
    ['a stream that never ends', 'stuck', (_, response) => void events(response).write(': hello\n\n')],
    [
      'JSON of a hundred thousand levels',
      'nonsense',
      (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('['.repeat(100_000)),
    ],
  ])('that answers with %s ends with «%s»', async (_, code, script) => {
    const fault = await called(script, code === 'stuck' ? SHORT_CALLS : LIMITS);
    expect([fault.code, fault.message.includes('secret stack trace')]).toEqual([code, false]);
  });

  test('that answers with 50 MB is cut off after a few, as JSON and as a stream', async () => {
    for (const type of ['application/json', 'text/event-stream']) {
      let sent = 0;
      const fault = await called((_, response) => {
        response.writeHead(200, { 'content-type': type });
        const more = (): void => {
          if (sent >= 50_000_000 || response.destroyed) return;
          sent += 65_536;
          response.write(Buffer.alloc(65_536, 0x20), more);
        };
        more();
      });
      expect(fault.code).toBe('too_large');
      // What the sockets hold comes on top of the bound of 4 MiB.
      expect(sent).toBeLessThan(20_000_000);
    }
  });

  test('that answers twice, late, or to somebody else changes nothing', async () => {
    let first: Rpc['id'];
    const server = await serve(({ id, method }, response) => {
      if (method !== 'tools/call') return false;
      const stream = events(response);
      const answer = (to: unknown, text: string) =>
        stream.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id: to, result: { content: [{ type: 'text', text }] } })}\n\n`);
      answer('nobody', 'x');
      answer(first ?? 99, 'late');
      answer(id, 'mine');
      answer(id, 'again');
      stream.write('data: {"jsonrpc":"2.0","method":"notifications/nobody/knows"}\n\ndata: garbage\n\n');
      stream.end();
      first ??= id;
      return true;
    });
    const connection = await open(http(server.url));
    for (let n = 0; n < 2; n++) expect(await call(connection)).toMatchObject({ content: [{ text: 'mine' }] });
  });

  test('that asks us for something is told that we have it not', async () => {
    const answers: unknown[] = [];
    const server = await serve((message, response) => {
      const { id, method } = message;
      if (method === undefined) answers.push((message as unknown as { error?: { code: number } }).error?.code);
      if (method !== 'tools/call') return false;
      const stream = events(response);
      for (const asked of ['sampling/createMessage', 'roots/list', 'elicitation/create']) {
        stream.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id: asked, method: asked, params: {} })}\n\n`);
      }
      stream.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [] } })}\n\n`);
      return true;
    });
    await call(await open(http(server.url)));
    await eventually(() => answers.length === 3, 5000, 'the answers');
    expect(answers).toEqual([-32601, -32601, -32601]);
  });

  test('that floods us with notifications loses its connection, and says so once', async () => {
    let lost = 0;
    const news = `data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n`;
    const server = await serve(
      () => false,
      (response) => void events(response).write(news.repeat(5000)),
    );
    const connection = await open(http(server.url));
    const closed = new Promise<McpFault>((resolve) => {
      connection.onLost = (fault) => {
        lost += 1;
        resolve(fault);
      };
    });
    expect((await within(closed, 5000, 'the loss')).code).toBe('flood');
    expect([(await faultOf(call(connection))).code, lost]).toEqual(['flood', 1]);
  });

  test('that wants its stream opened again and again is opened at its leisure', async () => {
    let opened = 0;
    const server = await serve(
      () => false,
      (response) => {
        opened += 1;
        events(response).end('retry: 0\nid: 1\n\n');
      },
    );
    const connection = await open(http(server.url));
    await eventually(() => opened > 0, 5000, 'the stream');
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(opened).toBeLessThanOrEqual(2);
    expect(await call(connection)).toMatchObject({ content: [{ text: 'ok' }] });
  });
});

describe('a list of a server', () => {
  test('of ten thousand tools, on pages without end, is cut off', async () => {
    let pages = 0;
    const server = await serve(({ id, method }, response) => {
      if (method !== 'tools/list') return false;
      pages += 1;
      result(response, id, {
        tools: Array.from({ length: 100 }, (_, n) => ({ ...TOOL, name: `t${pages}-${n}` })),
        nextCursor: `c${pages}`,
      });
      return true;
    });
    const connection = await open(http(server.url));
    expect([(await connection.listTools()).length, pages]).toEqual([1000, 10]);
  });

  test('of empty pages without end is cut off', async () => {
    let pages = 0;
    const server = await serve(({ id, method }, response) => {
      if (method !== 'tools/list') return false;
      pages += 1;
      result(response, id, { tools: [], nextCursor: 'again' });
      return true;
    });
    expect(await (await open(http(server.url))).listTools()).toEqual([]);
    expect(pages).toBeLessThanOrEqual(32);
  });

  test('with a tool that is none is no list', async () => {
    const server = await serve(({ id, method }, response) => {
      if (method !== 'tools/list') return false;
      result(response, id, { tools: [{ name: 5 }] });
      return true;
    });
    expect((await faultOf((await open(http(server.url))).listTools())).code).toBe('nonsense');
  });

  test('with keys that touch prototypes touches none', async () => {
    const server = await serve(({ id, method }, response) => {
      if (method !== 'tools/list') return false;
      const tools =
        '[{"name":"__proto__","inputSchema":{"type":"object","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}]';
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"tools":${tools}}}`);
      return true;
    });
    await (await open(http(server.url))).listTools().catch(() => {});
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('a server that is not there', () => {
  test.each<[string, Script]>([
    ['says nothing at all', () => true],
    ['greets with HTML', (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>') && true],
    ['greets with 500', (_, response) => response.writeHead(500).end() && true],
    ['sends us elsewhere', (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end() && true],
  ])('%s', async (_, script) => {
    const server = await serve(script);
    const fault = await faultOf(open(http(server.url), loopback, undefined, SHORT));
    expect(fault.code).toMatch(/^(?:stuck|nonsense|refused|redirected)$/);
  });

  test('is closed to us', async () => {
    const server = await serve(() => false);
    await server.stop();
    expect((await faultOf(open(http(server.url)))).code).toBe('unreachable');
  });
});

describe('the fence', () => {
  /** A resolver that has a different answer each time. */
  const rebinding =
    (...answers: readonly string[]): ResolveName =>
    (_name, _options, callback) => {
      const [address = '127.0.0.1', ...rest] = answers.length > 1 ? (answers as string[]).splice(0, 1) : answers;
      callback(null, [{ address, family: address.includes(':') ? 6 : 4 }, ...rest.map((each) => ({ address: each, family: 4 }))]);
    };

  test.each([
    'http://127.0.0.1:PORT/mcp',
    'https://127.0.0.1:PORT/mcp',
    'http://localhost:PORT/mcp',
    'http://[::ffff:127.0.0.1]:PORT/mcp',
    'http://0x7f.1:PORT/mcp',
  ])('lets nobody reach this machine by %s, and no byte goes there', async (pattern) => {
    let asked = 0;
    const server = await serve(() => {
      asked += 1;
      return false;
    });
    const url = pattern.replace('PORT', new URL(server.url).port);
    expect([(await faultOf(open(http(url), nobody))).code, asked]).toEqual(['fenced', 0]);
  });

  test('asks about the address that is connected to: a name that has changed its mind gains nothing', async () => {
    let asked = 0;
    const server = await serve(() => {
      asked += 1;
      return false;
    });
    const { port } = new URL(server.url);
    for (const answers of [['127.0.0.1'], ['::ffff:127.0.0.1'], ['10.0.0.1', '169.254.169.254'], ['::1']]) {
      const fault = await faultOf(open(http(`https://rebinding.example:${port}/mcp`), nobody, rebinding(...answers)));
      expect(fault.code).toBe('fenced');
    }
    expect(asked).toBe(0);
  });

  test('has plain HTTP go only where it is told to, whatever a name says', async () => {
    const fault = await faultOf(open(http('http://public.example/mcp'), nobody, rebinding('8.8.8.8')));
    expect(fault.code).toBe('fenced');
  });

  test('is asked about one port where one was named', async () => {
    const server = await serve(() => false);
    const port = Number(new URL(server.url).port);
    const onePort = new AddressFence([{ address: '127.0.0.1', bits: 32, port }]);
    const other = new AddressFence([{ address: '127.0.0.1', bits: 32, port: port === 1 ? 2 : port - 1 }]);
    expect((await (await open(http(server.url), onePort)).listTools()).length).toBe(1);
    expect((await faultOf(open(http(server.url), other))).code).toBe('fenced');
  });

  test('believes no certificate but of authorities that are known, or were named', async () => {
    const issued = issueCertificate(['127.0.0.1'], Date.now());
    const server = createHttpsServer({ key: issued.privateKey, cert: issued.certificate }, (request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      request.on('end', () => (request.method === 'POST' ? decent(JSON.parse(body) as Rpc, response) : void response.writeHead(405).end()));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ends.push(
      () => server.closeAllConnections(),
      () => server.close(),
    );
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
    expect((await faultOf(open(http(url)))).code).toBe('unreachable');
    const connection = await open({ type: 'http', url, headers: {}, ca: issued.ca });
    expect(await call(connection)).toMatchObject({ content: [{ text: 'ok' }] });
  });

  test('knows no other protocols', async () => {
    const fenced = new FencedFetch({ clock: systemClock, fence: loopback }, { timeoutMs: 1000 });
    for (const url of ['file:///etc/passwd', 'ftp://127.0.0.1/', 'data:text/plain,x'])
      expect((await faultOf(fenced.fetch(url))).code).toBe('fenced');
  });
});

describe('a program', () => {
  const node = (script: string, env: Readonly<Record<string, string>> = {}): McpEndpoint => ({
    type: 'stdio',
    command: process.execPath,
    args: ['-e', script],
    env,
  });
  const reads = (onMessage: string) =>
    `let rest='';process.stdin.on('data',d=>{rest+=d;const lines=rest.split('\\n');rest=lines.pop();for(const line of lines){const m=JSON.parse(line);${onMessage}}});`;
  const says = "const say=(v)=>process.stdout.write(JSON.stringify(v)+'\\n');";
  const polite = `if(m.method==='initialize')say({jsonrpc:'2.0',id:m.id,result:{protocolVersion:'2025-06-18',capabilities:{tools:{}},serverInfo:{name:'s',version:'1'}}});`;

  /** What has ended and is not buried yet is not alive. */
  const isAlive = (pid: number): boolean => {
    try {
      return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return false;
    }
  };

  test.each([
    ['is not there', { type: 'stdio', command: '/no/such/program', args: [], env: {} } as McpEndpoint, /unreachable/],
    [
      'is in a folder that is not there',
      { type: 'stdio', command: 'node', args: [], env: {}, cwd: join('/no', 'such') } as McpEndpoint,
      /unreachable/,
    ],
    ['ends at once', node('process.exit(3)'), /gone/],
    ['says nothing', node('setInterval(()=>{},1000)'), /stuck/],
    ['prints without end', node("const b='x'.repeat(65536);(function f(){process.stdout.write(b,f)})()"), /too_large|flood/],
    ['prints brackets', node("process.stdout.write('['.repeat(1000));setInterval(()=>{},1000)"), /nonsense/],
  ])('that %s is none', async (_, endpoint, code) => {
    const limits = code.test('stuck') ? SHORT : LIMITS;
    expect((await faultOf(open(endpoint, loopback, undefined, limits))).code).toMatch(code);
  });

  test('may print what it should not, and is understood all the same', async () => {
    const connection = await open(
      node(
        `${says}console.log('Starting...');console.log('{"half":');${reads(`${polite}if(m.method==='tools/list'){console.log('debug!');say({jsonrpc:'2.0',id:m.id,result:{tools:[{name:'a',inputSchema:{type:'object'}}]}})}`)}`,
      ),
    );
    expect((await connection.listTools()).map(({ name }) => name)).toEqual(['a']);
  });

  test('has the variables it is given, and none of ours', async () => {
    process.env['RINGDOWN_TEST_CANARY'] = 'canary';
    const connection = await open(
      node(
        `${says}${reads(`${polite}if(m.method==='tools/list')say({jsonrpc:'2.0',id:m.id,result:{tools:Object.keys(process.env).map(k=>({name:k,inputSchema:{type:'object'}}))}})`)}`,
        { GIVEN: 'x' },
      ),
    );
    const names = (await connection.listTools()).map(({ name }) => name);
    delete process.env['RINGDOWN_TEST_CANARY'];
    expect(names).toContain('GIVEN');
    expect(names).toContain('PATH');
    expect(names).not.toContain('RINGDOWN_TEST_CANARY');
  });

  test('that does not want to end is ended, and so is what it has started', async () => {
    const child = "process.on('SIGTERM',()=>{});setInterval(()=>{},1000)";
    const connection = await open(
      node(
        `${says}process.on('SIGTERM',()=>{});setInterval(()=>{},1000);const c=require('child_process').spawn(process.execPath,['-e',${JSON.stringify(child)}]);${reads(`${polite}if(m.method==='tools/list')say({jsonrpc:'2.0',id:m.id,result:{tools:[{name:'p'+process.pid,inputSchema:{type:'object'}},{name:'p'+c.pid,inputSchema:{type:'object'}}]}})`)}`,
      ),
    );
    const pids = (await connection.listTools()).map(({ name }) => Number(name.slice(1)));
    expect(pids.map(isAlive)).toEqual([true, true]);
    await within(connection.close(), 5000, 'the end');
    await eventually(() => pids.every((pid) => !isAlive(pid)), 5000, 'the end of its child');
  });

  test('that dies in a call is gone, and what it left behind is ended', async () => {
    const connection = await open(
      node(
        `${says}const c=require('child_process').spawn(process.execPath,['-e','setInterval(()=>{},1000)']);${reads(`${polite}if(m.method==='tools/list')say({jsonrpc:'2.0',id:m.id,result:{tools:[{name:'p'+c.pid,inputSchema:{type:'object'}}]}});if(m.method==='tools/call')process.kill(process.pid,'SIGKILL')`)}`,
      ),
    );
    const [left] = (await connection.listTools()).map(({ name }) => Number(name.slice(1)));
    expect((await faultOf(call(connection))).code).toBe('gone');
    await eventually(() => !isAlive(left ?? 0), 5000, 'the end of its child');
  });
});

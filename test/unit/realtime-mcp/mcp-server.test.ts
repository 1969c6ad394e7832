import type { CallToolResult } from '@modelcontextprotocol/client';
import { describe, expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import { McpFault } from '../../../src/realtime/mcp/mcp-fault.ts';
import { createMcpMetrics } from '../../../src/realtime/mcp/mcp-metrics.ts';
import { McpServer, type McpServerOptions, type ServerConnection } from '../../../src/realtime/mcp/mcp-server.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeConnection, settle, tool } from './fake-connection.ts';

class Bench {
  readonly clock = new FakeClock();
  readonly metrics = new Metrics();
  readonly connections: FakeConnection[] = [];
  readonly connectedAt: number[] = [];
  readonly told: string[] = [];
  readonly server: McpServer;
  /** How the next connections go. */
  plan: (connection: FakeConnection, count: number) => McpFault | undefined = () => undefined;

  constructor(options: Partial<McpServerOptions> = {}) {
    this.server = new McpServer(
      { clock: this.clock, log: createLog('silent'), metrics: createMcpMetrics(this.metrics), connect: () => this.#connect() },
      { mostCalls: 2, ...options },
    );
    this.server.watch((listing) =>
      this.told.push(
        listing.state === 'completed'
          ? listing.tools.map(({ name }) => name).join()
          : listing.state === 'failed'
            ? listing.fault.code
            : '…',
      ),
    );
  }

  #connect(): Promise<ServerConnection> {
    this.connectedAt.push(this.clock.now());
    const connection = new FakeConnection();
    const fault = this.plan(connection, this.connectedAt.length);
    if (fault) return Promise.reject(fault);
    this.connections.push(connection);
    return Promise.resolve(connection);
  }

  /** Lets promises settle, then time go by. */
  async advance(ms: number): Promise<void> {
    await settle();
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(100, left));
      await settle();
    }
  }

  call(signal = new AbortController().signal): Promise<CallToolResult> {
    return this.server.call(tool('a'), {}, signal);
  }
}

const gone = new McpFault('unreachable', 'gone');

describe('a server of tools', () => {
  test('is connected to once, listed, and called', async () => {
    const bench = new Bench();
    bench.server.start();
    bench.server.start();
    await bench.advance(0);
    expect([bench.told, bench.connectedAt]).toEqual([['…', 'a'], [0]]);
    expect(await bench.call()).toEqual({ content: [{ type: 'text', text: 'ok' }] });
    await bench.server.close();
    expect(bench.connections[0]?.closed).toBe(true);
  });

  test('is tried again with growing pauses, as long as it is not there', async () => {
    const bench = new Bench();
    bench.plan = () => gone;
    bench.server.start();
    await bench.advance(250_000);
    expect(bench.connectedAt).toEqual([0, 1000, 3000, 7000, 15_000, 31_000, 63_000, 123_000, 183_000, 243_000]);
    await expect(bench.call()).rejects.toMatchObject({ code: 'gone' });
    await bench.server.close();
    expect(bench.clock.timers).toBe(0);
  });

  test('of a session is given up after some tries', async () => {
    const bench = new Bench({ mostFailures: 3 });
    bench.plan = () => gone;
    bench.server.start();
    await bench.advance(600_000);
    expect(bench.connectedAt).toEqual([0, 1000, 3000]);
    expect(bench.clock.timers).toBe(0);
  });

  test('that cannot list is none', async () => {
    const bench = new Bench();
    bench.plan = (connection, count) => {
      if (count === 1) connection.tools = new McpFault('nonsense', 'HTML');
      return undefined;
    };
    bench.server.start();
    await bench.advance(0);
    expect([bench.told, bench.connections[0]?.closed]).toEqual([['…', 'nonsense'], true]);
    await bench.advance(1000);
    expect(bench.told.slice(2)).toEqual(['…', 'a']);
  });

  test('that is lost is connected to again; who was steady begins with a short pause', async () => {
    const bench = new Bench();
    bench.server.start();
    await bench.advance(0);
    bench.connections[0]?.onLost?.(gone);
    await bench.advance(1000);
    expect([bench.connectedAt, bench.connections[0]?.closed]).toEqual([[0, 1000], true]);
    bench.connections[1]?.onLost?.(gone);
    await bench.advance(2000);
    expect(bench.connectedAt).toEqual([0, 1000, 3000]);
    await bench.advance(60_000);
    bench.connections[2]?.onLost?.(gone);
    await bench.advance(1000);
    expect(bench.connectedAt).toEqual([0, 1000, 3000, 64_000]);
  });

  test('is lost by a call that finds it gone, or finds that it has forgotten us, and by no other', async () => {
    const bench = new Bench();
    bench.server.start();
    await bench.advance(0);
    const [first] = bench.connections;
    for (const fault of [
      new McpFault('stuck', ''),
      new McpFault('refused', '', { status: 500 }),
      new McpFault('failed', '', { status: -32602 }),
    ]) {
      if (first) first.answer = () => Promise.reject(fault);
      await expect(bench.call()).rejects.toBe(fault);
    }
    expect(first?.closed).toBe(false);
    if (first) first.answer = () => Promise.reject(new McpFault('refused', '', { status: 404 }));
    await expect(bench.call()).rejects.toMatchObject({ status: 404 });
    expect(first?.closed).toBe(true);
    await bench.advance(1000);
    expect(await bench.call()).toMatchObject({ content: [{ text: 'ok' }] });
  });

  test('is listed again when its tools change, and not more often than every two seconds', async () => {
    const bench = new Bench();
    bench.server.start();
    await bench.advance(0);
    const [connection] = bench.connections;
    if (!connection) throw new Error('no connection');
    connection.tools = [tool('b')];
    for (let n = 0; n < 100; n++) {
      connection.onToolsChanged?.();
      await bench.advance(100);
    }
    expect(connection.lists).toBeLessThanOrEqual(6);
    await bench.advance(5000);
    expect(bench.told.at(-1)).toBe('b');
    const before = connection.lists;
    await bench.advance(10_000);
    expect(connection.lists).toBe(before);
  });

  test('answers no more calls at once than it is given, and takes the next one after that', async () => {
    const bench = new Bench();
    bench.server.start();
    await bench.advance(0);
    const [connection] = bench.connections;
    if (!connection) throw new Error('no connection');
    let free: (() => void) | undefined;
    connection.answer = () =>
      new Promise((resolve) => {
        free = () => resolve({ content: [] });
      });
    const [one, two] = [bench.call(), bench.call()];
    await expect(bench.call()).rejects.toMatchObject({ code: 'busy' });
    free?.();
    await two;
    connection.answer = () => Promise.resolve({ content: [], isError: true });
    expect(await bench.call()).toMatchObject({ isError: true });
    void one;
    const text = await bench.metrics.text();
    expect(text).toContain('ringdown_mcp_calls_total{outcome="busy"} 1');
    expect(text).toContain('ringdown_mcp_calls_total{outcome="tool_error"} 1');
  });

  test('that is closed while it is being connected to is closed then, and nobody hears of it', async () => {
    const bench = new Bench();
    bench.server.start();
    const closing = bench.server.close();
    await bench.advance(1000);
    await closing;
    expect([bench.connections[0]?.closed, bench.told, bench.clock.timers]).toEqual([true, ['…'], 0]);
  });
});

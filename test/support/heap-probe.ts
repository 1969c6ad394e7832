import { WebSocket } from 'ws';
import { GatewayProcess } from './gateway-process.ts';
import { eventually, within } from './wait.ts';

/** What lives in a process after a full collection, in bytes. */
export interface LiveMemory {
  readonly heap: number;
  /** Buffers outside of the heap. */
  readonly external: number;
  /** All that the system has given it. */
  readonly rss: number;
}

const ANSWER_MS = 30_000;

/** What programs make at run time. The rest is compiled code, what the compiler learnt, and the snapshot's own roots. */
const DATA = new Set([
  'object',
  'array',
  'string',
  'concatenated string',
  'sliced string',
  'closure',
  'number',
  'bigint',
  'symbol',
  'regexp',
  'native',
]);

/** The form of a heap snapshot, as far as it is read here: nodes are rows of numbers, whose meanings `meta` tells. */
interface HeapSnapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: readonly string[]; readonly node_types: readonly [readonly string[]] } };
  readonly nodes: readonly number[];
}

/** Measures a process of its own from within: collects garbage first, so that two measurements can be compared. */
export class HeapProbe {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #last = 0;
  #chunks: string[] = [];

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      const { id, method, params, result } = JSON.parse(String(data)) as {
        id?: number;
        method?: string;
        params?: { chunk: string };
        result?: unknown;
      };
      if (method === 'HeapProfiler.addHeapSnapshotChunk') this.#chunks.push(params?.chunk ?? '');
      if (id === undefined) return;
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
  }

  /** Starts a gateway that can be measured. */
  static async start(options: { readonly flags?: readonly string[] } = {}): Promise<{ gateway: GatewayProcess; probe: HeapProbe }> {
    const gateway = await GatewayProcess.start({ ...options, env: { NODE_OPTIONS: '--inspect=127.0.0.1:0' } });
    const said = (): string | undefined =>
      gateway.stderr.map((line) => /^Debugger listening on (ws:\/\/127\.0\.0\.1:\S+)/.exec(line)?.[1]).find((url) => url !== undefined);
    const socket = new WebSocket(await eventually(said, 5000, 'the inspector'));
    await within(new Promise((resolve) => socket.once('open', resolve)), 5000, 'a connection to the inspector');
    const probe = new HeapProbe(socket);
    await probe.#ask('HeapProfiler.enable');
    return { gateway, probe };
  }

  async measure(): Promise<LiveMemory> {
    // Finalizers run after the first one, and free more.
    for (let round = 0; round < 2; round++) await this.#ask('HeapProfiler.collectGarbage');
    const answer = await this.#ask('Runtime.evaluate', { expression: 'JSON.stringify(process.memoryUsage())', returnByValue: true });
    const { value } = (answer as { result: { value: string } }).result;
    const { heapUsed, external, rss } = JSON.parse(value) as { heapUsed: number; external: number; rss: number };
    return { heap: heapUsed, external, rss };
  }

  /** Bytes of all objects, arrays, strings and closures that live, without the code and what belongs to it. Stops the process for a second. */
  async dataBytes(): Promise<number> {
    this.#chunks = [];
    await this.#ask('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
    const { snapshot, nodes } = JSON.parse(this.#chunks.join('')) as HeapSnapshot;
    this.#chunks = [];
    const { node_fields: fields, node_types: types } = snapshot.meta;
    const [typeAt, sizeAt] = [fields.indexOf('type'), fields.indexOf('self_size')];
    let bytes = 0;
    for (let at = 0; at < nodes.length; at += fields.length) {
      if (DATA.has(types[0][nodes[at + typeAt] ?? 0] ?? '')) bytes += nodes[at + sizeAt] ?? 0;
    }
    return bytes;
  }

  close(): void {
    this.#socket.close();
  }

  #ask(method: string, params: object = {}): Promise<unknown> {
    this.#last += 1;
    const id = this.#last;
    const answer = new Promise((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params }));
    return within(answer, ANSWER_MS, `the inspector to answer ${method}`);
  }
}

/** How much y grows with each x: the slope of the line through all points. */
export function slope(points: readonly { readonly x: number; readonly y: number }[]): number {
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length;
  const above = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  return above / points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
}

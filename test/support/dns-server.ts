import { type Endpoint, openUdp, type UdpPort } from './endpoint.ts';

/** What a name has. `SRV` is `priority weight port target`, `NAPTR` is `order preference service replacement`. */
export interface DnsRecord {
  readonly type: 'A' | 'AAAA' | 'SRV' | 'NAPTR';
  readonly value: string;
  readonly ttlS?: number;
}

const TYPES = { A: 1, AAAA: 28, SRV: 33, NAPTR: 35 } as const;
const NXDOMAIN = 3;

/** A name server on loopback that knows what a test tells it (RFC 1035), and counts what it was asked. */
export class DnsServer {
  readonly #port: UdpPort;
  /** `silent`: questions about it are never answered. */
  readonly zone = new Map<string, readonly DnsRecord[] | 'silent'>();
  readonly asked: string[] = [];

  private constructor(port: UdpPort) {
    this.#port = port;
    port.onDatagram = (query, from) => this.#answer(query, from);
  }

  static async open(): Promise<DnsServer> {
    return new DnsServer(await openUdp());
  }

  /** As `--sip-dns` wants it. */
  get address(): string {
    return `127.0.0.1:${this.#port.local.port}`;
  }

  close(): void {
    this.#port.close();
  }

  #answer(query: Buffer, from: Endpoint): void {
    const [name, end] = readName(query);
    const wanted = query.readUInt16BE(end);
    const type = (Object.keys(TYPES) as (keyof typeof TYPES)[]).find((each) => TYPES[each] === wanted);
    this.asked.push(`${type ?? wanted} ${name}`);
    const known = this.zone.get(name);
    if (known === 'silent') return;
    const records = (known ?? []).filter((record) => record.type === type);
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8580 | (known ? 0 : NXDOMAIN), 2); // an authoritative response
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    this.#port.send(Buffer.concat([header, query.subarray(12, end + 4), ...records.map(written)]), from);
  }
}

function readName(query: Buffer): [string, number] {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  return [labels.join('.').toLowerCase(), at + 1];
}

function writeName(name: string): Buffer {
  const labels = name === '' || name === '.' ? [] : name.split('.');
  return Buffer.concat([...labels.map((label) => text(label)), Buffer.of(0)]);
}

/** A character string: its length and itself. */
function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(value.length), Buffer.from(value, 'latin1')]);
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, 2 * index);
  return bytes;
}

function written(record: DnsRecord): Buffer {
  const data = dataOf(record);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0); // the name of the question
  head.writeUInt16BE(TYPES[record.type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(record.ttlS ?? 60, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function dataOf({ type, value }: DnsRecord): Buffer {
  const words = value.split(' ');
  switch (type) {
    case 'A':
      return Buffer.from(value.split('.').map(Number));
    case 'AAAA':
      return Buffer.concat([Buffer.alloc(15), Buffer.of(1)]); // ::1, the only one a test may mean
    case 'SRV':
      return Buffer.concat([numbers(...words.slice(0, 3).map(Number)), writeName(words[3] ?? '')]);
    case 'NAPTR':
      return Buffer.concat([
        numbers(...words.slice(0, 2).map(Number)),
        text('s'),
        text(words[2] ?? ''),
        text(''),
        writeName(words[3] ?? ''),
      ]);
  }
}

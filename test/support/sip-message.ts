/*
 * SIP as the test phone reads and writes it: small, strict about nothing, and apart from src/sip on purpose, so that a
 * mistake there is seen and not mirrored.
 */

const SHORT_NAMES: Readonly<Record<string, string>> = {
  v: 'via',
  f: 'from',
  t: 'to',
  i: 'call-id',
  m: 'contact',
  l: 'content-length',
  c: 'content-type',
  k: 'supported',
};

/** Header fields that may stand in one line, separated by commas, and that the phone reads one by one. */
const LISTS = new Set(['via', 'route', 'record-route', 'contact', 'allow', 'supported', 'unsupported', 'require']);

/** A message that was read. */
export class SipMessage {
  readonly startLine: string;
  readonly body: string;
  readonly raw: string;
  readonly #headers = new Map<string, string[]>();

  constructor(raw: string) {
    this.raw = raw;
    const split = raw.indexOf('\r\n\r\n');
    const head = (split < 0 ? raw : raw.slice(0, split)).replace(/\r\n[ \t]+/g, ' ').split('\r\n');
    this.body = split < 0 ? '' : raw.slice(split + 4);
    this.startLine = head[0] ?? '';
    for (const line of head.slice(1)) {
      const colon = line.indexOf(':');
      if (colon < 1) continue;
      const written = line.slice(0, colon).trim().toLowerCase();
      const name = SHORT_NAMES[written] ?? written;
      const value = line.slice(colon + 1).trim();
      const values = LISTS.has(name) ? splitList(value) : [value];
      this.#headers.set(name, [...(this.#headers.get(name) ?? []), ...values]);
    }
  }

  /** Undefined for a request. */
  get status(): number | undefined {
    const match = /^SIP\/2\.0 (\d{3})/.exec(this.startLine);
    return match ? Number(match[1]) : undefined;
  }

  /** Of a request its own, of a response the one it answers. */
  get method(): string {
    return this.status === undefined ? (this.startLine.split(' ')[0] ?? '') : this.cseq.method;
  }

  get requestUri(): string {
    return this.status === undefined ? (this.startLine.split(' ')[1] ?? '') : '';
  }

  get cseq(): { readonly number: number; readonly method: string } {
    const [number = '0', method = ''] = (this.header('cseq') ?? '').split(/\s+/);
    return { number: Number(number), method };
  }

  get callId(): string {
    return this.header('call-id') ?? '';
  }

  get fromTag(): string | undefined {
    return tagOf(this.header('from'));
  }

  get toTag(): string | undefined {
    return tagOf(this.header('to'));
  }

  /** Branch of the topmost Via. */
  get branch(): string {
    return /;\s*branch=([^;,\s]+)/i.exec(this.header('via') ?? '')?.[1] ?? '';
  }

  /** First value of a header by its full name. */
  header(name: string): string | undefined {
    return this.#headers.get(name.toLowerCase())?.[0];
  }

  /** All values of a header by its full name. */
  all(name: string): readonly string[] {
    return this.#headers.get(name.toLowerCase()) ?? [];
  }
}

function splitList(value: string): string[] {
  // Commas inside <…> and "…" do not separate.
  return (value.match(/(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,])+/g) ?? []).map((each) => each.trim());
}

function tagOf(value: string | undefined): string | undefined {
  return /;\s*tag=([^;,\s]+)/i.exec(value?.replace(/<[^>]*>/, '') ?? '')?.[1];
}

/** The URI inside a name-addr or addr-spec. */
export function uriOf(value: string): string {
  return /<([^>]+)>/.exec(value)?.[1] ?? value.split(';')[0] ?? '';
}

/** Where a SIP URI with a literal address points to. */
export function endpointOf(uri: string): { readonly address: string; readonly port: number } | undefined {
  const match = /^sips?:(?:[^@]*@)?(?:\[([^\]]+)\]|([^:;?>]+))(?::(\d+))?/i.exec(uri);
  const host = match?.[1] ?? match?.[2];
  if (!host) return undefined;
  return { address: host === 'localhost' ? '127.0.0.1' : host, port: Number(match?.[3] ?? 5060) };
}

export type HeaderLine = readonly [name: string, value: string];

/** Puts a message together; Content-Length is added. */
export function writeSip(startLine: string, headers: readonly HeaderLine[], body = ''): string {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `${startLine}\r\n${lines}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** A response with the headers that must be copied (RFC 3261 §8.2.6.2). */
export function writeResponse(
  request: SipMessage,
  status: number,
  reason: string,
  toTag: string,
  more: readonly HeaderLine[] = [],
  body = '',
): string {
  const to = request.header('to') ?? '';
  const copied: HeaderLine[] = [
    ...request.all('via').map((via) => ['Via', via] as const),
    ...request.all('record-route').map((route) => ['Record-Route', route] as const),
    ['From', request.header('from') ?? ''],
    ['To', request.toTag || status === 100 ? to : `${to};tag=${toTag}`],
    ['Call-ID', request.callId],
    ['CSeq', request.header('cseq') ?? ''],
  ];
  return writeSip(`SIP/2.0 ${status} ${reason}`, [...copied, ...more], body);
}

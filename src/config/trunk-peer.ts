import { isIP, isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import { formatEndpoint, parseEndpoint } from '../base/addresses.ts';

/* Where a trunk's calls go: a literal address, or a name that DNS knows (RFC 3263), and how. */

/** A peer as it is written. */
export interface PeerValue {
  /** A literal address or a name, lower case. */
  readonly address: string;
  readonly port: number | undefined;
}

/** What DNS is asked for a trunk. */
export interface LookUp {
  readonly host: string;
  /** With it no SRV record is looked for (RFC 3263 §4.2). */
  readonly port?: number;
  /** Without it DNS says (§4.1). */
  readonly transport?: TrunkTransport;
}

export type TrunkTransport = 'udp' | 'tcp' | 'tls';

/** Files of the TLS towards one trunk, and what its certificate has to name. */
export interface TrunkTls {
  /** Authorities that may have signed its certificate; those that Node.js brings when absent. */
  readonly caFile?: string;
  /** Our certificate, where it asks for one. */
  readonly certificateFile?: string;
  readonly keyFile?: string;
  /** The peer's name or address when absent. */
  readonly name?: string;
}

/** RFC 1123 §2.1; underscores as some have them. The last label is no number, so that no mistyped address is taken for a name. */
const NAME = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

const PORTS: Readonly<Record<TrunkTransport, number>> = { udp: 5060, tcp: 5060, tls: 5061 };

export const peer = z
  .string({ error: 'must be text' })
  .max(300, 'longer than 300 characters')
  .transform((value, context): PeerValue => {
    if (isIP(value)) return { address: value, port: undefined };
    const [, host = value, portText] = /^([^:[\]]+):(\d{1,5})$/.exec(value) ?? [];
    const endpoint = parseEndpoint(value);
    const port = endpoint?.port ?? (portText === undefined ? undefined : Number(portText));
    if (port === 0) context.addIssue({ code: 'custom', message: 'the port cannot be 0' });
    if (endpoint) return endpoint;
    const named = NAME.test(host) && (port === undefined || port <= 65_535);
    if (!named)
      context.addIssue({ code: 'custom', message: 'ADDRESS, ADDRESS:PORT, NAME or NAME:PORT; an IPv6 address with a port in brackets' });
    return { address: host.toLowerCase(), port };
  });

export const transport = z.enum(['udp', 'tcp', 'tls'], { error: 'udp, tcp or tls' }).optional();

const file = z.string({ error: 'must be the path of a file' }).trim().min(1, 'must be the path of a file').max(4096);

export const trunkTls = z.strictObject(
  {
    ca: file.optional(),
    cert: file.optional(),
    key: file.optional(),
    // As it stands in the certificate: `*.example.com` means a certificate that says so, and no other.
    name: z
      .string({ error: 'must be text' })
      .max(253)
      .refine((name) => isIP(name) !== 0 || NAME.test(name.replace(/^\*\./, '')), 'a name, *.NAME or an address')
      .optional(),
  },
  { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map with ca, cert, key and name, or some of them' : undefined) },
);

interface PeerFields {
  readonly peer: PeerValue;
  readonly transport?: TrunkTransport | undefined;
  readonly tls?: z.output<typeof trunkTls> | undefined;
}

/** What is wrong between these keys of one trunk, by the key that is to be changed. */
export function peerFaults({ peer: { address }, transport: by, tls }: PeerFields): { readonly key: string; readonly message: string }[] {
  const faults = [];
  const byName = isIP(address) === 0 && by === undefined;
  if (tls && by !== 'tls' && !byName) faults.push({ key: 'tls', message: 'means nothing without `transport: tls`' });
  if (tls && (tls.cert === undefined) !== (tls.key === undefined)) {
    const missing = tls.cert === undefined ? 'cert' : 'key';
    faults.push({ key: 'tls', message: `has no ${missing}: it takes both cert and key or none` });
  }
  return faults;
}

/** How --print-config writes a peer: as it can be read again. */
export function peerText({ address, port }: PeerValue): string {
  if (port === undefined) return address;
  return isIPv4(address) || isIPv6(address) ? formatEndpoint({ address, port }) : `${address}:${port}`;
}

/** The same as the code uses it. */
export function peerOf({ peer: { address, port }, transport: by, tls }: PeerFields): {
  readonly peer: { readonly address: string; readonly port: number };
  readonly transport: TrunkTransport;
  readonly lookUp?: LookUp;
  readonly tls?: TrunkTls;
} {
  const { ca, cert, key, name } = tls ?? {};
  return {
    peer: { address, port: port ?? PORTS[by ?? 'udp'] },
    transport: by ?? 'udp',
    ...(isIP(address) === 0
      ? { lookUp: { host: address, ...(port === undefined ? {} : { port }), ...(by === undefined ? {} : { transport: by }) } }
      : {}),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            ...(ca === undefined ? {} : { caFile: ca }),
            ...(cert === undefined ? {} : { certificateFile: cert }),
            ...(key === undefined ? {} : { keyFile: key }),
            ...(name === undefined ? {} : { name: name.toLowerCase() }),
          },
        }),
  };
}

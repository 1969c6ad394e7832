import type { Endpoint } from '../../base/addresses.ts';
import { type Parameters, parseParameters, writeParameters } from './parameters.ts';

/** One Via value (RFC 3261 §20.42). */
export interface Via {
  /** UDP, TCP, TLS … as written. */
  readonly transport: string;
  /** Host of sent-by in lower case, with its brackets when it is an IPv6 address. */
  readonly host: string;
  readonly port: number | undefined;
  readonly branch: string | undefined;
  readonly parameters: Parameters;
}

/** Branches of RFC 3261 agents start with this (§8.1.1.7); the others are matched the way of RFC 2543. */
export const BRANCH_COOKIE = 'z9hG4bK';

/** Where a response goes when Via names no port. */
export const SIP_PORT = 5060;

/** The same over TLS (RFC 3261 §19.1.2). */
export const SIPS_PORT = 5061;

const SENT =
  /^SIP[ \t]*\/[ \t]*2\.0[ \t]*\/[ \t]*([!%'*+.0-9A-Z_`a-z~-]+)[ \t]+(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._-]{1,255})(?:[ \t]*:[ \t]*(\d{1,5}))?/i;

export function parseVia(text: string): Via | undefined {
  const match = SENT.exec(text);
  const [sent, transport, host, portText] = match ?? [];
  if (sent === undefined || transport === undefined || host === undefined) return undefined;
  const port = portText === undefined ? undefined : Number(portText);
  if (port !== undefined && (port === 0 || port > 65_535)) return undefined;
  const parameters = parseParameters(text, sent.length);
  if (!parameters) return undefined;
  return { transport, host: host.toLowerCase(), port, branch: parameters.get('branch'), parameters };
}

/** The host in sent-by without brackets: an address as others write it, or a name. */
export function viaAddress(via: Via): string {
  return via.host.startsWith('[') ? via.host.slice(1, -1) : via.host;
}

/** The value as the server transport marks it: `received` when the source differs, `rport` when asked for (RFC 3581 §4). */
export function writeReceivedVia(via: Via, source: Endpoint): string {
  const wantsPort = via.parameters.has('rport');
  const parameters = new Map(via.parameters);
  parameters.delete('received'); // only we say where it came from
  if (wantsPort) parameters.set('rport', String(source.port));
  if (wantsPort || viaAddress(via) !== source.address) parameters.set('received', source.address);
  const port = via.port === undefined ? '' : `:${via.port}`;
  return `SIP/2.0/${via.transport} ${via.host}${port}${writeParameters(parameters)}`;
}

/**
 * Where a response over UDP goes: always to the address the request came from, whatever Via claims; to its source port with
 * rport, else to the port in sent-by (RFC 3261 §18.2.2, RFC 3581 §4). maddr is not followed: it would aim us at anybody.
 */
export function responseTarget(via: Via, source: Endpoint): Endpoint {
  return { address: source.address, port: via.parameters.has('rport') ? source.port : (via.port ?? SIP_PORT) };
}

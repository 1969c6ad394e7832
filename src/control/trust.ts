import type { IncomingHttpHeaders } from 'node:http';
import { isLoopback } from '../base/addresses.ts';

/** What of a request decides whether it is trusted without a key. */
export interface Caller {
  /** The address of the TCP peer. */
  readonly peer: string;
  /** '1.0', '1.1'. */
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
  /** Did it come over TLS? */
  readonly encrypted?: boolean;
  /** How many Host headers there are; `headers` shows the first. */
  readonly hosts: number;
}

/** Headers a proxy adds: what it forwards comes from anywhere, whatever the peer address says. */
const PROXY_HEADER = /^(?:forwarded|via|x-real-ip|x-client-ip|x-forwarded(?:-.+)?)$/;

/**
 * Why a request without a key is not trusted, or undefined when it is: it must come from this machine, from a program or a
 * page of ours. Host is checked because a page of another site may have its name resolve to 127.0.0.1 (DNS rebinding), Origin
 * and Sec-Fetch-Site because any page may send requests here, the proxy headers because behind a proxy all peers are local.
 */
export function distrust({ peer, httpVersion, headers, hosts, encrypted = false }: Caller): string | undefined {
  if (!isLoopback(peer)) return 'the request comes from another machine';
  // A proxy that adds no header of its own still shows: the old ones speak 1.0 to what is behind them.
  if (httpVersion !== '1.1') return 'the request is not HTTP/1.1';
  if (hosts !== 1) return 'it has no Host, or several'; // RFC 9112 §3.2
  const host = hostName(headers.host);
  if (host === undefined || !isLoopbackName(host)) return 'its Host is not this machine';
  const own = `${encrypted ? 'https' : 'http'}://${headers.host}`;
  if (headers.origin !== undefined && headers.origin !== own) return 'its Origin is another site';
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return 'a page of another site sent it';
  if (Object.keys(headers).some((name) => PROXY_HEADER.test(name))) return 'a proxy forwarded it';
  return undefined;
}

/** The name in a Host header, without port and brackets. */
function hostName(host: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]@/]+))(?::\d{1,5})?$/i.exec(host ?? '');
  return match?.[1] ?? match?.[2];
}

function isLoopbackName(name: string): boolean {
  return name.toLowerCase() === 'localhost' || isLoopback(name);
}

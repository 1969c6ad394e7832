import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import { Agent, request } from 'node:https';
import type { LookupFunction } from 'node:net';
import { rootCertificates } from 'node:tls';
import { literalHost } from '../../base/address-fence.ts';
import type { Clock } from '../../base/clock.ts';

export type ResolveName = (
  name: string,
  options: LookupAllOptions,
  callback: (error: Error | null, addresses: LookupAddress[]) => void,
) => void;

export interface CertificateFetchDeps {
  readonly clock: Clock;
  /** Who may be connected to; asked with addresses, never with names. */
  readonly permits: (address: string, port: number) => boolean;
  /** The system's resolver when absent. */
  readonly resolve?: ResolveName;
}

export interface CertificateFetchOptions {
  /** From the question for the name to the last octet. */
  readonly timeoutMs: number;
  /** Authorities of the servers themselves, beside the usual ones. PEM. */
  readonly ca?: string | undefined;
}

/** What came, or why nothing did. */
export type Fetched = { readonly text: string; readonly cacheControl: string | undefined } | { readonly failure: string };

/** Six certificates with long lists of numbers. */
const MOST_BYTES = 65_536;
const MOST_HEADER_BYTES = 16_384;

/**
 * Gets a file that a caller named, over https: connects to nobody that is not permitted (asked with the address that is connected to, so that a name that
 * changes its address gains nothing), follows no redirect, keeps no connection, and bounds what it takes and how long it waits.
 */
export function fetchCertificate(
  url: URL,
  { clock, permits, resolve = lookup as ResolveName }: CertificateFetchDeps,
  { timeoutMs, ca }: CertificateFetchOptions,
): Promise<Fetched> {
  const port = Number(url.port || 443);
  const literal = literalHost(url);
  if (literal !== undefined && !permits(literal, port)) return Promise.resolve({ failure: FENCED });
  const fenced: LookupFunction = (name, options, callback) => {
    resolve(name, { ...options, all: true }, (error, found) => {
      if (error) {
        callback(error, '');
        return;
      }
      const permitted = found.filter(({ address }) => permits(address, port));
      const [first] = permitted;
      if (!first) callback(new Error(FENCED), '');
      else if (options.all) callback(null, permitted);
      else callback(null, first.address, first.family);
    });
  };
  return new Promise((settle) => {
    const agent = new Agent({ keepAlive: false, maxCachedSessions: 0, ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }) });
    const get = request(url, {
      agent,
      lookup: fenced,
      maxHeaderSize: MOST_HEADER_BYTES,
      headers: { accept: 'application/pem-certificate-chain, */*', 'accept-encoding': 'identity' },
    });
    const end = (fetched: Fetched): void => {
      timer.cancel();
      settle(fetched);
      get.destroy();
      agent.destroy();
    };
    const timer = clock.setTimer(timeoutMs, () => end({ failure: `nothing came within ${timeoutMs / 1000} s` }));
    get.on('error', (error: NodeJS.ErrnoException) =>
      end({ failure: error.message === FENCED ? FENCED : `it cannot be reached (${error.code ?? 'no connection'})` }),
    );
    get.on('upgrade', (_response, socket) => {
      socket.destroy();
      end({ failure: 'it changes the protocol' });
    });
    get.on('socket', (socket) => {
      // Whatever the way to it was: the address at the other end is what counts.
      socket.once('connect', () => {
        if (!permits(socket.remoteAddress ?? '', port)) end({ failure: FENCED });
      });
    });
    get.on('response', (response) => {
      const { statusCode, headers } = response;
      if (statusCode !== 200) {
        end({ failure: `it answers with ${statusCode}` });
        return;
      }
      const encoding = headers['content-encoding'];
      if (encoding !== undefined && encoding !== 'identity') {
        end({ failure: 'it compresses what was to be plain' });
        return;
      }
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > MOST_BYTES) end({ failure: `it is larger than ${MOST_BYTES} octets` });
      });
      response.on('error', () => end({ failure: 'it breaks off' }));
      response.on('aborted', () => end({ failure: 'it breaks off' }));
      response.on('end', () => {
        if (response.complete) end({ text: Buffer.concat(chunks).toString('latin1'), cacheControl: headers['cache-control'] });
        else end({ failure: 'it breaks off' });
      });
    });
    get.end();
  });
}

const FENCED = 'its address may not be connected to';

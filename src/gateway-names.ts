import { isIPv4 } from 'node:net';
import type { Clock } from './base/clock.ts';
import type { Logger } from './base/log.ts';
import type { Metrics } from './base/metrics.ts';
import type { Config } from './config/config.ts';
import { DnsResolver } from './sip/dns-resolver.ts';
import { NameBook } from './sip/name-book.ts';
import type { TrunkBook } from './sip/trunk-book.ts';

/** A start waits so long for the names of its trunks: with a DNS that answers nobody notices, and without one the gateway is up all the same. */
const FIRST_ANSWERS_MS = 2000;

/** Finds the names of the trunks, as long as they are wanted. @returns what stops that */
export async function findNames(
  { clock, log, metrics, trunks }: { readonly clock: Clock; readonly log: Logger; readonly metrics: Metrics; readonly trunks: TrunkBook },
  { sip, bind }: Config,
): Promise<() => void> {
  const resolver = new DnsResolver(sip.dns);
  const families = bind === '::' ? (['A', 'AAAA'] as const) : isIPv4(bind) ? (['A'] as const) : (['AAAA'] as const);
  const names = new NameBook({ clock, log, metrics, ask: (question) => resolver.ask(question) }, { families });
  trunks.names = names;
  await names.settled(FIRST_ANSWERS_MS);
  return () => {
    names.stop();
    resolver.stop();
  };
}

import type { Alert } from '../../base/alert.ts';
import type { Clock } from '../../base/clock.ts';
import { Driver } from '../../base/driver.ts';
import { randomText } from '../../base/ids.ts';
import type { Logger } from '../../base/log.ts';
import type { Gauge, Metrics } from '../../base/metrics.ts';
import type { Trunk } from '../trunk.ts';
import type { TrunkBook } from '../trunk-book.ts';
import { TrunkWatch, type TrunkWatchOutput } from '../trunk-watch.ts';
import { ACCEPT, ALLOW } from './capabilities.ts';
import { type OutboundHead, writeOutbound } from './outbound-request.ts';
import type { OutboundServices } from './outbound-services.ts';
import { uriHost } from './uri.ts';

export interface TrunkProbesDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly services: OutboundServices;
  readonly onAlert?: ((alert: Alert) => void) | undefined;
}

interface Probe {
  readonly name: string;
  readonly watch: TrunkWatch;
  readonly driver: Driver<TrunkWatchOutput>;
}

/** Asks the trunks that want it by OPTIONS whether they are there (RFC 3261 §11), and tells the book. */
export class TrunkProbes {
  readonly #deps: TrunkProbesDeps;
  readonly #book: TrunkBook;
  #gauge: Gauge<'trunk'> | undefined;
  readonly #probes = new Map<string, Probe>();

  constructor(deps: TrunkProbesDeps, book: TrunkBook) {
    this.#deps = deps;
    this.#book = book;
  }

  start(): void {
    this.replace();
  }

  /** Asks the trunks that are in the book now; one that is asked as before goes on being asked. */
  replace(): void {
    const wanted = new Map(this.#book.trunks.filter(({ keepAliveS }) => keepAliveS !== undefined).map((trunk) => [keyOf(trunk), trunk]));
    for (const [key, probe] of this.#probes) {
      if (wanted.has(key)) continue;
      this.#end(probe);
      this.#probes.delete(key);
      this.#book.setUp(probe.name, true);
      if (!this.#book.trunks.some(({ name, keepAliveS }) => name === probe.name && keepAliveS !== undefined))
        this.#gauge?.remove({ trunk: probe.name });
    }
    for (const [key, trunk] of wanted) {
      if (this.#probes.has(key)) continue;
      this.#gauge ??= this.#deps.metrics.gauge('sip_trunk_up', 'Whether a trunk answers its keep-alives.', ['trunk']);
      const probe = this.#watch(trunk);
      this.#probes.set(key, probe);
      probe.driver.run((now) => probe.watch.start(now));
    }
  }

  stop(): void {
    for (const probe of this.#probes.values()) this.#end(probe);
  }

  #end({ watch, driver }: Probe): void {
    watch.stop();
    driver.stop();
  }

  #watch(trunk: Trunk): Probe {
    const { clock, log } = this.#deps;
    const watch = new TrunkWatch({ intervalMs: (trunk.keepAliveS ?? 0) * 1000 });
    let asked: { forget(): void } | undefined;
    const driver = new Driver<TrunkWatchOutput>(clock, watch, ({ type }) => {
      if (type === 'probe') asked = this.#ask(trunk, watch, driver);
      else if (type === 'forget') asked?.forget();
      else {
        log[type === 'up' ? 'info' : 'warn']({ trunk: trunk.name }, `trunk ${type}`);
        if (type === 'down')
          this.#deps.onAlert?.({ kind: 'trunk_down', subject: trunk.name, detail: 'it does not answer its keep-alives' });
        this.#note(trunk, type === 'up');
      }
    });
    this.#note(trunk, true);
    return { name: trunk.name, watch, driver };
  }

  #note({ name }: Trunk, up: boolean): void {
    this.#book.setUp(name, up);
    this.#gauge?.set({ trunk: name }, up ? 1 : 0);
  }

  #ask(trunk: Trunk, watch: TrunkWatch, driver: Driver<TrunkWatchOutput>): { forget(): void } {
    const { services } = this.#deps;
    const { peer, lookUp, username } = trunk;
    const [hop] = this.#book.hopsTo(trunk);
    if (!hop) {
      services.clock.setTimer(0, () => driver.run((now) => watch.failed(now)));
      return { forget: () => undefined };
    }
    const localAddress = services.localAddressFor(hop.address);
    const port = lookUp ? lookUp.port : peer.port;
    const uri = `sip:${uriHost(peer.address)}${port === undefined ? '' : `:${port}`}`;
    const head: OutboundHead = {
      from: `<sip:${username ?? 'ringdown'}@${uriHost(localAddress)}>;tag=${randomText(22)}`,
      to: `<${uri}>`,
      callId: randomText(22),
    };
    const headers = [
      ['Contact', services.contact(localAddress, hop.transport)],
      ALLOW,
      ACCEPT,
      ['User-Agent', services.userAgent],
    ] as const;
    const way = services.way(hop, localAddress, (via) => writeOutbound('OPTIONS', head, { uri, via, cseq: 1 }, headers));
    return way.send('OPTIONS', way.message, {
      // Whatever it says, it is there; but for 503: it takes no calls now. And a 408 comes from a proxy that does not find it.
      onResponse: ({ status }) => {
        if (status === 408) driver.run((now) => watch.failed(now));
        else if (status >= 200) driver.run((now) => watch.heard(now, status !== 503));
      },
      onTimeout: () => driver.run((now) => watch.failed(now)),
    });
  }
}

/** What makes it another question. */
function keyOf({ name, peer, transport, lookUp, tls, username, keepAliveS }: Trunk): string {
  return JSON.stringify([name, peer, transport, lookUp, tls, username, keepAliveS]);
}

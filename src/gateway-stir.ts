import { readFile } from 'node:fs/promises';
import { AddressFence } from './base/address-fence.ts';
import type { Clock } from './base/clock.ts';
import type { Metrics } from './base/metrics.ts';
import type { Config } from './config/config.ts';
import { ConfigError } from './config/faults.ts';
import { type IdentifiedCall, type IdentityVerdict, identifyCall } from './sip/identity/call-identity.ts';
import { type Certificate, readAnchors } from './sip/identity/certificate.ts';
import { fetchCertificate } from './sip/identity/fetch-certificate.ts';
import { IdentityVerifier } from './sip/identity/identity-verifier.ts';

/** A caller hears nothing meanwhile, and networks begin to look elsewhere after some seconds. */
const FETCH_TIMEOUT_MS = 2000;

/** The `stir:` section with what its files hold. */
interface StirSetting {
  readonly policy: Config['stir']['policy'];
  readonly at: string | undefined;
  readonly anchors: readonly Certificate[];
  readonly maxAgeS: number;
  readonly ports: ReadonlySet<number>;
  readonly fence: AddressFence;
  readonly ca: string | undefined;
}

/** @throws ConfigError when a file cannot be used */
export async function readStir({ stir }: Config): Promise<StirSetting> {
  const { policy, policyAt, maxAgeS, allow } = stir;
  const read = async (key: 'anchors' | 'ca'): Promise<string | undefined> => {
    const file = stir[key];
    if (!file) return undefined;
    const text = await readFile(file.path, 'latin1').catch(() => '');
    if (readAnchors(text)) return text;
    const message = 'holds no certificates (PEM), too many, or one that cannot be used';
    throw new ConfigError([{ source: file.at, key: `stir.${key}`, value: file.path, message }]);
  };
  const anchors = await read('anchors');
  return {
    ...{ policy, maxAgeS, at: policyAt },
    anchors: (anchors === undefined ? undefined : readAnchors(anchors)) ?? [],
    // Who names a port means that it may be used.
    ports: new Set(allow.flatMap(({ port }) => port ?? [])),
    fence: new AddressFence(allow),
    ca: await read('ca'),
  };
}

/** Verifies callers by what is configured; another configuration takes its place at once. */
export class StirDesk {
  readonly #verifier: IdentityVerifier;
  #setting: StirSetting;

  constructor({ clock, metrics }: { readonly clock: Clock; readonly metrics: Metrics }, setting: StirSetting) {
    this.#setting = setting;
    const fetch = (url: URL) => {
      const { fence, ca } = this.#setting;
      const permits = (address: string, port: number): boolean => fence.permits(address, port, true);
      return fetchCertificate(url, { clock, permits }, { timeoutMs: FETCH_TIMEOUT_MS, ca });
    };
    this.#verifier = new IdentityVerifier({ clock, metrics, fetch }, setting);
  }

  configure(setting: StirSetting): void {
    this.#setting = setting;
    this.#verifier.configure(setting);
  }

  identify(call: IdentifiedCall): IdentityVerdict | Promise<IdentityVerdict> | undefined {
    const { policy, at } = this.#setting;
    return identifyCall(call, { verifier: this.#verifier, policy, ...(at === undefined ? {} : { at }) });
  }
}

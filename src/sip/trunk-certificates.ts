import { createSecureContext, type SecureContext } from 'node:tls';
import { CertificateFiles, type CertificateFilesDeps } from '../base/certificate-files.ts';
import { GatewayError } from '../base/errors.ts';
import { TLS_OPTIONS } from '../base/tls.ts';
import type { Trunk } from './trunk.ts';

/** What is shown to trunks over TLS, and whom they are believed: by the name of the trunk. */
export class TrunkCertificates {
  readonly #deps: CertificateFilesDeps;
  #files = new Map<string, CertificateFiles>();
  /** The authorities that Node.js brings, and nothing of ours. */
  #usual: SecureContext | undefined;

  constructor(deps: CertificateFilesDeps) {
    this.#deps = deps;
  }

  /**
   * Reads the files of these trunks in place of those of before.
   * @throws GatewayError ERR_CONFIG naming the trunk and the file; then all stays as it was
   */
  async use(trunks: readonly Pick<Trunk, 'name' | 'tls'>[]): Promise<void> {
    const fresh = new Map<string, CertificateFiles>();
    try {
      for (const { name, tls } of trunks) {
        if (!tls || (tls.caFile === undefined && tls.certificateFile === undefined)) continue;
        const files = new CertificateFiles(this.#deps, `trunk ${name}`, tls);
        fresh.set(name, files);
        await files.start().catch((thrown: unknown) => {
          const { message } = GatewayError.from(thrown);
          throw new GatewayError('ERR_CONFIG', `trunk ${name}: tls: ${message}`, { cause: thrown });
        });
      }
    } catch (thrown) {
      for (const files of fresh.values()) files.stop();
      throw thrown;
    }
    for (const [name, files] of this.#files) {
      const next = fresh.get(name);
      if (next && files.holds(next)) {
        // What is the same stays, and with it the connections that were opened with it.
        fresh.set(name, files);
        next.stop();
      } else files.stop();
    }
    this.#files = fresh;
  }

  contextOf(trunk: string): SecureContext {
    this.#usual ??= createSecureContext(TLS_OPTIONS);
    return this.#files.get(trunk)?.context ?? this.#usual;
  }

  stop(): void {
    for (const files of this.#files.values()) files.stop();
    this.#files.clear();
  }
}

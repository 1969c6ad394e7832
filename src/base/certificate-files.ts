import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from './clock.ts';
import { GatewayError } from './errors.ts';
import type { Logger } from './log.ts';
import type { Counter, Gauge, Metrics } from './metrics.ts';
import { TLS_OPTIONS, type TlsMaterial } from './tls.ts';

/** The files of one end of TLS; all PEM. */
export interface CertificatePaths {
  readonly certificateFile?: string;
  readonly keyFile?: string;
  /** Authorities that the other end's certificate must come from. */
  readonly caFile?: string;
}

/** How often the files are looked at: new handshakes get a new certificate within two seconds, and a stat takes some 50 µs. */
const LOOK_MS = 500;

/** Certificate and key are two files, and nobody writes them at the same time: what does not fit together is looked at so often before it is a fault. */
const PATIENCE = 3;

/** Long enough to get another one by post. */
const SOON_MS = 14 * 24 * 3600 * 1000;

/** Who did not see the first alarm sees the next one. */
const ALARM_AGAIN_MS = 24 * 3600 * 1000;

/** The metrics of all certificates of a process. */
export class CertificateMetrics {
  readonly expiry: Gauge<'certificate'>;
  readonly faults: Counter<'certificate'>;

  constructor(metrics: Metrics) {
    this.expiry = metrics.gauge('tls_certificate_expiry_seconds', 'Seconds until a certificate ends; less than 0 when it has.', [
      'certificate',
    ]);
    this.faults = metrics.counter('tls_certificate_faults_total', 'Certificate files that could not be taken into use.', ['certificate']);
  }
}

export interface CertificateFilesDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: CertificateMetrics;
}

interface Loaded {
  readonly material: TlsMaterial;
  readonly context: SecureContext;
  /** Unix milliseconds; undefined without a certificate. */
  readonly endsAt: number | undefined;
}

/** A certificate that stands in files: read again when they change, never exchanged for one that cannot be used, and announced before it ends. */
export class CertificateFiles {
  readonly #deps: CertificateFilesDeps;
  readonly #name: string;
  readonly #paths: CertificatePaths;
  readonly #listeners: (() => void)[] = [];
  #loaded: Loaded | undefined;
  #stamp = '';
  #misfits = 0;
  #alarmed: { readonly how: 'soon' | 'ended'; readonly at: number } | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  /** @param name in logs and metrics */
  constructor(deps: CertificateFilesDeps, name: string, paths: CertificatePaths) {
    this.#deps = deps;
    this.#name = name;
    this.#paths = paths;
  }

  get material(): TlsMaterial {
    return this.#now.material;
  }

  get context(): SecureContext {
    return this.#now.context;
  }

  /** The same files, and what was read from them. */
  holds(other: CertificateFiles): boolean {
    return isDeepStrictEqual([this.#paths, this.material], [other.#paths, other.material]);
  }

  /** There is another one: new handshakes are to use it. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** @throws GatewayError ERR_CONFIG naming the file that cannot be used */
  async start(): Promise<void> {
    this.#stamp = await this.#look();
    this.#loaded = await this.#load();
    this.#announceEnd(this.#loaded);
    this.#lookLater();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  get #now(): Loaded {
    if (!this.#loaded) throw new GatewayError('ERR_INVALID_STATE', 'the certificate was not read');
    return this.#loaded;
  }

  #lookLater(): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.setTimer(LOOK_MS, () => void this.#check().finally(() => this.#lookLater()));
  }

  async #check(): Promise<void> {
    const stamp = await this.#look();
    this.#announceEnd(this.#now);
    if (stamp === this.#stamp && (this.#misfits === 0 || this.#misfits >= PATIENCE)) return;
    if (stamp !== this.#stamp) this.#misfits = 0;
    this.#stamp = stamp;
    try {
      const loaded = await this.#load();
      const { endsAt } = loaded;
      if (endsAt !== undefined && endsAt <= this.#deps.clock.wallclock() && (this.#now.endsAt ?? 0) > endsAt) {
        throw new GatewayError('ERR_CONFIG', `${this.#paths.certificateFile} has ended already`);
      }
      this.#misfits = 0;
      this.#loaded = loaded;
      this.#alarmed = undefined;
    } catch (thrown) {
      this.#misfits += 1;
      if (this.#misfits < PATIENCE) return;
      this.#deps.metrics?.faults.inc({ certificate: this.#name });
      const { message } = GatewayError.from(thrown);
      this.#deps.log.error({ certificate: this.#name, reason: message }, 'new certificate cannot be used, the old one stays');
      return;
    }
    this.#deps.log.info({ certificate: this.#name }, 'new certificate in use');
    this.#announceEnd(this.#now);
    for (const listener of this.#listeners) listener();
  }

  #announceEnd({ endsAt }: Loaded): void {
    if (endsAt === undefined) return;
    const { clock, log, metrics } = this.#deps;
    const leftMs = endsAt - clock.wallclock();
    metrics?.expiry.set({ certificate: this.#name }, Math.round(leftMs / 1000));
    if (leftMs > SOON_MS) return;
    const how = leftMs <= 0 ? 'ended' : 'soon';
    if (this.#alarmed?.how === how && clock.now() - this.#alarmed.at < ALARM_AGAIN_MS) return;
    this.#alarmed = { how, at: clock.now() };
    const fields = { certificate: this.#name, file: this.#paths.certificateFile, hours: Math.round(leftMs / 3_600_000) };
    if (how === 'ended') log.error(fields, 'certificate has ended');
    else log.warn(fields, 'certificate ends soon');
  }

  /** What tells one state of the files from another: a mount of secrets exchanges whole folders, so the inode counts. */
  async #look(): Promise<string> {
    const { certificateFile, keyFile, caFile } = this.#paths;
    const files = [certificateFile, keyFile, caFile].filter((file) => file !== undefined);
    const marks = await Promise.all(
      files.map((file) =>
        stat(file).then(
          ({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`,
          () => 'gone',
        ),
      ),
    );
    return marks.join('/');
  }

  async #load(): Promise<Loaded> {
    const { certificateFile, keyFile, caFile } = this.#paths;
    const [cert, key, ca] = await Promise.all([read(certificateFile), read(keyFile), read(caFile)]);
    const material = {
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(ca === undefined ? {} : { ca }),
    };
    if (ca !== undefined) certificateIn(ca, caFile); // OpenSSL takes an authority file without any certificate in silence
    try {
      const context = createSecureContext({ ...material, ...TLS_OPTIONS });
      return { material, context, endsAt: cert === undefined ? undefined : endOf(certificateIn(cert, certificateFile)) };
    } catch (cause) {
      if (cause instanceof GatewayError) throw cause;
      // Of OpenSSL's words none is secret: they name what does not fit, not what stands there.
      const text = `${certificateFile ?? caFile}: certificate and key cannot be used (${(cause as Error).message})`;
      throw new GatewayError('ERR_CONFIG', text, { cause });
    }
  }
}

function read(file: string | undefined): Promise<string> | undefined {
  return (
    file !== undefined
      ? readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
          throw new GatewayError('ERR_CONFIG', `${file} cannot be read (${cause.code})`, { cause });
        })
      : undefined
  ) as Promise<string> | undefined;
}

function certificateIn(pem: string, file: string | undefined): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new GatewayError('ERR_CONFIG', `${file} holds no certificate`, { cause });
  }
}

function endOf(certificate: X509Certificate): number {
  // biome-ignore lint/style/noRestrictedGlobals: reads a date that was given, not the clock
  return Date.parse(certificate.validTo);
}

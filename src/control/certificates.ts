import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { CertificateFiles, type CertificateMetrics } from '../base/certificate-files.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import { randomHex } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import { type IssuedCertificate, issueCertificate } from './x509.ts';

export interface CertificatesDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: CertificateMetrics;
}

export interface CertificatesOptions {
  /** The folder of our own authority: `ca.pem`, `server.pem`, `server.key`. */
  readonly folder: string;
  /** Names and literal addresses that clients call us by. */
  readonly names: readonly string[];
  /** A certificate from elsewhere, as files: then there is no authority of ours. */
  readonly configured?: { readonly certificateFile: string; readonly keyFile: string };
}

/** Ours is renewed so long before it ends. */
const RENEW_MS = 30 * 24 * 3600 * 1000;
/** How often the dates of our own are looked at. */
const LOOK_MS = 3600 * 1000;
const DIRECTORY_MODE = 0o700;
const KEY_MODE = 0o600;
const PUBLIC_MODE = 0o644;

const FILES = { ca: 'ca.pem', certificate: 'server.pem', privateKey: 'server.key' } as const;

/** Node 20 has no `validToDate`; parsing the text it has is what that does. */
function endsAt(certificate: X509Certificate): number {
  // biome-ignore lint/style/noRestrictedGlobals: reads a date that was given, not the clock
  return Date.parse(certificate.validTo);
}

/** What the HTTP port shows to TLS clients: a configured certificate, or one of an authority made at the first start. */
export class Certificates {
  readonly #deps: CertificatesDeps;
  readonly #options: CertificatesOptions;
  #context: SecureContext | undefined;
  #current: string | undefined;
  /** Made by this process: where it could not be kept, it lives here. */
  #made: IssuedCertificate | undefined;
  #timer: Timer | undefined;
  #files: CertificateFiles | undefined;
  #stopped = false;
  /** There is another certificate; new connections get it. */
  onChange: ((context: SecureContext) => void) | undefined;

  constructor(deps: CertificatesDeps, options: CertificatesOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** The file that clients have to trust; undefined when the certificate was configured. */
  get caFile(): string | undefined {
    return this.#options.configured ? undefined : join(this.#options.folder, FILES.ca);
  }

  /** @throws GatewayError ERR_CONFIG when a configured certificate cannot be used */
  async start(): Promise<SecureContext> {
    const { configured } = this.#options;
    if (configured) return this.#startConfigured(new CertificateFiles(this.#deps, 'http', configured));
    const context = await this.#load();
    this.#lookLater();
    return context;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#files?.stop();
  }

  async #startConfigured(files: CertificateFiles): Promise<SecureContext> {
    this.#files = files;
    await files.start();
    files.onChange(() => this.onChange?.(files.context));
    return files.context;
  }

  #lookLater(): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.setTimer(LOOK_MS, () => {
      this.#load()
        .then((context) => this.#show(context))
        // The old one stays in use: a broken file must not take the door away.
        .catch((err: unknown) => this.#deps.log.error({ err }, 'certificate cannot be used'))
        .finally(() => this.#lookLater());
    });
  }

  #show(context: SecureContext): void {
    if (context !== this.#context) this.onChange?.(context);
    this.#context = context;
  }

  async #load(): Promise<SecureContext> {
    const issued = await this.#own();
    const text = issued.certificate + issued.privateKey;
    if (text === this.#current && this.#context) return this.#context;
    const context = secureContext(issued, FILES.certificate);
    this.#current = text;
    this.#context ??= context;
    return context;
  }

  /** What an earlier start made, if it still serves; else another one. */
  async #own(): Promise<IssuedCertificate> {
    const { folder, names } = this.#options;
    const found = (await this.#readOwn(folder)) ?? this.#made;
    if (found) {
      const reason = staleness(found, names, this.#deps.clock.wallclock());
      if (reason === undefined) return found;
      this.#deps.log.warn({ reason, file: this.caFile }, 'new certificate authority: clients have to trust the new file');
    }
    this.#made = await this.#makeOwn();
    return this.#made;
  }

  async #readOwn(folder: string): Promise<IssuedCertificate | undefined> {
    const read = (file: string): Promise<string> => readFile(join(folder, file), 'utf8');
    try {
      const [ca, certificate, privateKey] = await Promise.all([read(FILES.ca), read(FILES.certificate), read(FILES.privateKey)]);
      return { ca, certificate, privateKey };
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== 'ENOENT') this.#deps.log.warn({ err, folder }, 'own certificate cannot be read');
      return undefined;
    }
  }

  async #makeOwn(): Promise<IssuedCertificate> {
    const { folder, names } = this.#options;
    const issued = issueCertificate(names, this.#deps.clock.wallclock());
    try {
      await mkdir(folder, { recursive: true, mode: DIRECTORY_MODE });
      await write(join(folder, FILES.privateKey), issued.privateKey, KEY_MODE);
      await write(join(folder, FILES.certificate), issued.certificate, PUBLIC_MODE);
      await write(join(folder, FILES.ca), issued.ca, PUBLIC_MODE);
    } catch (err) {
      // Plain HTTP and calls work without it; the next start makes another one.
      this.#deps.log.warn({ err, folder }, 'own certificate cannot be kept');
    }
    return issued;
  }
}

/** Whole or not at all: a start that is killed leaves no half file. */
async function write(path: string, text: string, mode: number): Promise<void> {
  const draft = `${path}.${randomHex(8)}`;
  await writeFile(draft, text, { mode, flag: 'wx' });
  await chmod(draft, mode); // whatever the umask says
  await rename(draft, path);
}

/** Why a certificate of ours does not serve any more; undefined when it does. */
function staleness({ ca, certificate, privateKey }: IssuedCertificate, names: readonly string[], wallclock: number): string | undefined {
  try {
    const authority = new X509Certificate(ca);
    const leaf = new X509Certificate(certificate);
    createSecureContext({ cert: certificate, key: privateKey });
    if (!leaf.checkIssued(authority) || !leaf.verify(authority.publicKey)) return 'the files do not belong together';
    if (endsAt(leaf) - wallclock < RENEW_MS) return 'the certificate ends soon';
    const missing = names.filter((name) => (isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name)) === undefined);
    return missing.length > 0 ? `it does not name ${missing.join(', ')}` : undefined;
  } catch {
    return 'the files cannot be read';
  }
}

function secureContext({ certificate, privateKey }: IssuedCertificate, file: string): SecureContext {
  try {
    return createSecureContext({ cert: certificate, key: privateKey, minVersion: 'TLSv1.2' });
  } catch (cause) {
    throw new GatewayError('ERR_CONFIG', `${file}: certificate and key cannot be used (${(cause as Error).message})`, { cause });
  }
}

import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../base/log.ts';

const FILE_NAME = 'sip-identity.json';
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const SECRET_BYTES = 32;
/** 80 bits: who has not been told the Contact does not guess it. */
const TOKEN_CHARACTERS = 20;

/** What stays the same of this gateway from one start to the next: RFC 5626 §4.1 wants it, and registrars keep our Contact over a restart. */
export class SipIdentity {
  /** `urn:uuid:…` */
  readonly instance: string;
  readonly #secret: Buffer;

  constructor(instance = `urn:uuid:${randomUUID()}`, secret = randomBytes(SECRET_BYTES)) {
    this.instance = instance;
    this.#secret = secret;
  }

  /** Reads it from the data directory, or makes it. A disk that refuses costs a name that lasts until the next start. */
  static async open(log: Logger, { dataDir }: { readonly dataDir: string }): Promise<SipIdentity> {
    const path = join(dataDir, FILE_NAME);
    const known = await readFile(path, 'utf8').then(readIdentity, () => undefined);
    if (known) return known;
    const identity = new SipIdentity();
    try {
      await mkdir(dataDir, { recursive: true, mode: DIRECTORY_MODE });
      const text = `${JSON.stringify({ instance: identity.instance, secret: identity.#secret.toString('base64') })}\n`;
      await writeFile(path, text, { mode: FILE_MODE, flush: true });
    } catch (err) {
      log.warn({ err, file: path }, 'the name of this gateway cannot be kept');
    }
    return identity;
  }

  /** User part of the Contact that is registered for a trunk: by it its calls are known, wherever they come from. */
  contactUser(trunk: string): string {
    return `rd-${createHmac('sha256', this.#secret).update(trunk).digest('hex').slice(0, TOKEN_CHARACTERS)}`;
  }
}

function readIdentity(text: string): SipIdentity | undefined {
  try {
    const { instance, secret } = JSON.parse(text) as { instance?: unknown; secret?: unknown };
    const bytes = Buffer.from(typeof secret === 'string' ? secret : '', 'base64');
    if (typeof instance !== 'string' || !/^urn:uuid:[0-9a-f-]{36}$/.test(instance) || bytes.length !== SECRET_BYTES) return undefined;
    return new SipIdentity(instance, bytes);
  } catch {
    return undefined;
  }
}

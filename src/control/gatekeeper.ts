import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Access } from '../leg/session-host.ts';
import { type ApiError, refuse } from './api-error.ts';
import { type EphemeralSecret, EphemeralSecrets } from './ephemeral-secrets.ts';
import type { KeyBook } from './key-book.ts';
import { distrust } from './trust.ts';

/** On whose behalf a request is made. */
export interface Credential {
  readonly access: Access;
  /** When it was made with one. */
  readonly secret?: EphemeralSecret;
}

export type Admission = { readonly credential: Credential } | { readonly refused: ApiError };

const HOW = 'Set a key with RINGDOWN_API_KEY or `projects:` in ringdown.yaml, and send it as "Authorization: Bearer KEY" (docs/http.md).';

/** Why this request is not one of this machine's own, in words; undefined when it is. */
export function distrustOf(request: IncomingMessage): string | undefined {
  const { socket, httpVersion, headers, headersDistinct } = request;
  const hosts = headersDistinct['host']?.length ?? 0;
  const encrypted = (socket as TLSSocket).encrypted === true;
  return distrust({ peer: socket.remoteAddress ?? '', httpVersion, headers, hosts, encrypted });
}

/** The key in the Authorization header. */
export function bearerOf(request: IncomingMessage): string | undefined {
  return /^Bearer +([\x21-\x7e]{1,512})$/i.exec(request.headers.authorization ?? '')?.[1];
}

/** Decides who is let in: bearers of a key; without any key configured, programs and pages of this machine. */
export class Gatekeeper {
  #keys: KeyBook;
  readonly secrets: EphemeralSecrets;

  constructor(keys: KeyBook, secrets: EphemeralSecrets) {
    this.#keys = keys;
    this.secrets = secrets;
  }

  get keys(): KeyBook {
    return this.#keys;
  }

  /** Other keys from now on; what was let in with an old one goes on. */
  setKeys(keys: KeyBook): void {
    this.#keys = keys;
  }

  /** @param key as the request bears it, if it does */
  admit(request: IncomingMessage, key = bearerOf(request)): Admission {
    if (key !== undefined && EphemeralSecrets.isOne(key)) {
      const secret = this.secrets.find(key);
      if (!secret) return { refused: refuse('invalid_api_key', 'The client secret is not valid, or not any more.') };
      return { credential: { access: { project: secret.project, ephemeral: true }, secret } };
    }
    const project = key === undefined ? undefined : this.keys.projectOf(key);
    if (project !== undefined) return { credential: { access: { project, ephemeral: false } } };
    // Stock clients always send some key: where none is configured it means nothing.
    if (this.keys.isEmpty) return this.#admitWithoutKeys(request);
    if (key !== undefined) return { refused: refuse('invalid_api_key', `The API key is not one of this gateway. ${HOW}`) };
    return { refused: refuse('missing_api_key', `An API key is needed. ${HOW}`) };
  }

  #admitWithoutKeys(request: IncomingMessage): Admission {
    const reason = distrustOf(request);
    if (reason === undefined) return { credential: { access: { project: this.keys.defaultProject, ephemeral: false } } };
    const message = `Without a configured key only programs and pages of this machine are served: ${reason}. ${HOW}`;
    return { refused: refuse('missing_api_key', message) };
  }
}

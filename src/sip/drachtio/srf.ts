import type { EventEmitter } from 'node:events';
import type { Server, Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';

/*
 * What is used of drachtio-srf 5, whose own types leave most of it out. Its `Dialog` is not used: it answers a re-INVITE without a description by throwing.
 */

/** A message as the library has read it. */
export interface SrfMessage {
  /** As the server passed it on. */
  readonly raw?: string;
}

export interface SrfRequest {
  readonly method: string;
  readonly msg: SrfMessage;
  /** `application`: the server itself sent it and tells us, a BYE after an ACK that never came. */
  readonly source: 'network' | 'application';
  readonly source_address: string;
  readonly source_port: number | string;
  readonly protocol: string;
  readonly stackTxnId: string;
  readonly stackDialogId?: string | undefined;
  readonly socket: Socket;
  get(name: string): string | undefined;
  on(event: 'cancel', listener: (cancel: SrfMessage) => void): void;
  /** While an INVITE has no final response: without a listener the library answers by itself, or nobody. */
  on(event: 'update', listener: (request: SrfRequest, response: SrfResponse) => void): void;
  on(event: 'response', listener: (response: SrfResponse, acknowledge: SrfAcknowledge) => void): void;
  cancel(options: object, done: (error: unknown) => void): void;
}

/** Sends the ACK of a 2xx, or the PRACK of a provisional response. */
export type SrfAcknowledge = (options?: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string }) => void;

export interface SrfResponse {
  readonly status: number;
  readonly msg: SrfMessage;
  readonly stackDialogId?: string | undefined;
  send(
    status: number,
    reason: string,
    options: { readonly headers: Record<string, string>; readonly body?: string },
    done: (error: unknown, sent?: SrfMessage) => void,
  ): void;
}

export interface SrfRequestOptions {
  readonly method: string;
  readonly uri?: string;
  /** Next hop, as a URI. */
  readonly proxy?: string;
  readonly stackDialogId?: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly _socket: Socket;
}

/** The library's inside: its framing, and who is told of what. */
export interface SrfClient {
  readonly wp: EventEmitter & { send(socket: Socket, text: string): string };
}

export interface SrfApp extends EventEmitter {
  readonly app: {
    readonly client: SrfClient;
    /** That of Srf itself wants a URI inside dialogs, too. @throws for options it does not like */
    request(options: SrfRequestOptions, done: (error: unknown, request?: SrfRequest) => void): void;
  };
  use(method: string, handler: (request: SrfRequest, response: SrfResponse) => void): void;
  listen(options: { readonly host: string; readonly port: number; readonly secret: string; readonly tls?: TlsOptions }): Server;
  connect(options: {
    readonly host: string;
    readonly port: number;
    readonly secret: string;
    readonly tls?: object;
    readonly reconnect: { readonly maxAttempts: 1 };
  }): void;
}

/** The library, loaded when it is needed only. */
export interface SrfLibrary {
  new (): SrfApp;
  readonly SipMessage: new (text: string) => SrfMessage;
}

export async function loadSrf(): Promise<SrfLibrary> {
  const { default: library } = await import('drachtio-srf');
  return library as unknown as SrfLibrary;
}

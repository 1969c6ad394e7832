import { type Endpoint, sameEndpoint } from '../../base/addresses.ts';
import { DigestClient } from '../digest/digest-client.ts';
import type { Trunk } from '../trunk.ts';
import type { CallServices, SentRequest } from './call-services.ts';
import type { SipResponse } from './message.ts';
import type { HeaderLine } from './write-response.ts';

const CHALLENGES = { 401: 'www-authenticate', 407: 'proxy-authenticate' } as const;
const ANSWERS = { 401: 'Authorization', 407: 'Proxy-Authorization' } as const;

/** Is it a challenge? */
export function isChallenge(status: number): status is 401 | 407 {
  return status === 401 || status === 407;
}

/** The credentials of one trunk for one call. They go to the trunk's peer and to nobody else, whatever realm a challenge names. */
export class OutboundCredentials {
  readonly #peers: readonly Endpoint[];
  readonly #clients: Readonly<Record<401 | 407, DigestClient>> | undefined;

  /** @param peers where the trunk is */
  constructor({ username, password, realm }: Pick<Trunk, 'username' | 'password' | 'realm'>, peers: readonly Endpoint[]) {
    this.#peers = peers;
    if (username === undefined || password === undefined) return;
    const credentials = { username, password, ...(realm === undefined ? {} : { realm }) };
    this.#clients = { 401: new DigestClient(credentials), 407: new DigestClient(credentials) };
  }

  /** Whether an address is the peer's. */
  mayGoTo(to: Endpoint): boolean {
    return this.#peers.some((peer) => sameEndpoint(to, peer));
  }

  /** Takes a challenge that came from this address. @returns whether the request shall be sent again */
  challenged(response: SipResponse, from: Endpoint): boolean {
    if (!isChallenge(response.status) || !this.mayGoTo(from)) return false;
    return this.#clients?.[response.status].challenged(response.headers.all(CHALLENGES[response.status])) ?? false;
  }

  /** A request was taken with them. */
  accepted(): void {
    this.#clients?.[401].accepted();
    this.#clients?.[407].accepted();
  }

  /** Header lines for a request to this address; none before a challenge, and none for anybody but the peer. */
  lines(method: string, uri: string, to: Endpoint): HeaderLine[] {
    const clients = this.#clients;
    if (!clients || !this.mayGoTo(to)) return [];
    return ([401, 407] as const).flatMap((status) =>
      clients[status].authorize({ method, uri }).map((value): HeaderLine => [ANSWERS[status], value]),
    );
  }
}

/** A call's services, with the credentials in every request of its dialog and one more try when one is challenged. */
export function withCredentials(services: CallServices, credentials: OutboundCredentials): CallServices {
  // The ACK of a 2xx has the credentials of its INVITE (RFC 3261 §13.2.2.4).
  let invited: readonly HeaderLine[] = [];
  const request: CallServices['request'] = (dialog, localAddress, method, headers, events, body) => {
    let current: SentRequest;
    const send = (again: boolean): SentRequest => {
      const hop = dialog.nextHop();
      const lines = credentials.lines(method, dialog.requestUri, hop);
      if (method === 'INVITE') invited = lines;
      const sent = services.request(
        dialog,
        localAddress,
        method,
        [...headers, ...lines],
        {
          onResponse: (response) => {
            if (again && credentials.challenged(response, hop)) current = send(false);
            else {
              if (response.status >= 200 && response.status < 300) credentials.accepted();
              events.onResponse(response);
            }
          },
          onTimeout: () => events.onTimeout(),
        },
        body,
      );
      return sent;
    };
    current = send(true);
    return {
      get cseq() {
        return current.cseq;
      },
      forget: () => current.forget(),
    };
  };
  return {
    clock: services.clock,
    log: services.log,
    sessionIntervalS: services.sessionIntervalS,
    minSessionS: services.minSessionS,
    respond: (...all) => services.respond(...all),
    request,
    acknowledge: (dialog, localAddress, cseq, body) =>
      services.acknowledge(dialog, localAddress, cseq, body, credentials.mayGoTo(dialog.nextHop()) ? invited : []),
    contact: (...all) => services.contact(...all),
    assign: (...all) => services.assign(...all),
  };
}

import { Inviter, type Session, SessionState, type URI, UserAgent } from 'sip.js';
import { WebSocket } from 'ws';
import type { Endpoint } from './endpoint.ts';
import { phoneSdp } from './phone-sdp.ts';
import { RtpPhone } from './rtp-phone.ts';

/* The telephone of somebody else's making: SIP.js in Node, over WebSocket, with plain RTP in place of a browser's media. */

/** What SIP.js asks of whoever knows about media, as far as it uses it here. */
class PlainMedia {
  readonly #sdp: string;
  remote: string | undefined;

  constructor(sdp: string) {
    this.#sdp = sdp;
  }

  getDescription(): Promise<{ body: string; contentType: string }> {
    return Promise.resolve({ body: this.#sdp, contentType: 'application/sdp' });
  }

  setDescription(sdp: string): Promise<void> {
    this.remote = sdp;
    return Promise.resolve();
  }

  hasDescription(contentType: string): boolean {
    return contentType === 'application/sdp';
  }

  rollbackDescription(): Promise<void> {
    return Promise.resolve();
  }

  sendDtmf(): boolean {
    return false;
  }

  close(): void {
    this.remote = undefined;
  }
}

/** One SIP.js user agent. */
export class SipJsPhone {
  readonly #agent: UserAgent;
  readonly media: RtpPhone;

  private constructor(agent: UserAgent, media: RtpPhone) {
    this.#agent = agent;
    this.media = media;
  }

  /** Connects. @param ca the authority of the gateway's certificate: over TLS then */
  static async open(to: Endpoint, ca?: string): Promise<SipJsPhone> {
    const media = await RtpPhone.open({});
    const sdp = phoneSdp(media.local, undefined);
    // SIP.js looks for the browser's WebSocket; ours has to know which authority to trust.
    class Trusting extends WebSocket {
      constructor(url: string, protocols: string) {
        super(url, protocols, ca === undefined ? {} : { ca });
      }
    }
    const before = globalThis.WebSocket;
    Object.assign(globalThis, { WebSocket: Trusting });
    const agent = new UserAgent({
      uri: uriOf('sip:web@web.invalid'),
      transportOptions: { server: `${ca === undefined ? 'ws' : 'wss'}://127.0.0.1:${to.port}/sip` },
      logBuiltinEnabled: false,
      sessionDescriptionHandlerFactory: () => new PlainMedia(sdp) as never,
    });
    await agent.start().finally(() => Object.assign(globalThis, { WebSocket: before }));
    return new SipJsPhone(agent, media);
  }

  /** Calls, and waits for the answer. */
  async call(uri: string): Promise<Session> {
    const inviter = new Inviter(this.#agent, uriOf(uri));
    await inviter.invite();
    await stateOf(inviter, SessionState.Established);
    return inviter;
  }

  async close(): Promise<void> {
    await this.#agent.stop();
    this.media.close();
  }
}

function uriOf(text: string): URI {
  const uri = UserAgent.makeURI(text);
  if (!uri) throw new Error(`${text} is no URI`);
  return uri;
}

/** Resolves when the session is in this state. @throws when it ends in another one, or takes 5 s */
export function stateOf(session: Session, wanted: SessionState): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the call is ${session.state}, not ${wanted}`)), 5000);
    const look = (state: SessionState): void => {
      if (state !== wanted && state !== SessionState.Terminated) return;
      clearTimeout(timer);
      if (state === wanted) resolve();
      else reject(new Error('the call has ended'));
    };
    session.stateChange.addListener(look);
    look(session.state);
  });
}

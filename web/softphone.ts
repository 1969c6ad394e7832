import type { Invitation } from 'sip.js/lib/api/invitation.js';
import { Inviter } from 'sip.js/lib/api/inviter.js';
import { Registerer } from 'sip.js/lib/api/registerer.js';
import type { Session } from 'sip.js/lib/api/session.js';
import { SessionState } from 'sip.js/lib/api/session-state.js';
import { UserAgent } from 'sip.js/lib/api/user-agent.js';
import type { URI } from 'sip.js/lib/grammar/uri.js';
import type { SessionDescriptionHandler } from 'sip.js/lib/platform/web/session-description-handler/session-description-handler.js';
import { defaultSessionDescriptionHandlerFactory } from 'sip.js/lib/platform/web/session-description-handler/session-description-handler-factory-default.js';
import { openMicrophone } from './devices.ts';
import { NotReachable, SipRefused } from './phone-failures.ts';

/** Candidates of this machine are there at once; nothing outside is asked for more. */
const GATHERING_MS = 1000;
/** A phone that rings on and on is given up. */
const NO_ANSWER_S = 90;
const REGISTRATION_S = 600;
/** The first try after the connection was lost, and the longest wait between two. */
const AGAIN_MS = 1000;
const AGAIN_AT_MOST_MS = 30_000;

export interface Account {
  readonly user: string;
  readonly password: string;
}

export interface SoftphoneEvents {
  readonly onIncoming: (call: SoftphoneCall) => void;
  /** Registered, or not any more for this reason. */
  readonly onRegistered: (is: boolean, failure?: unknown) => void;
}

/** A telephone on the gateway's WebSocket: registers, calls and is called. */
export class Softphone {
  readonly #agent: UserAgent;
  readonly #registerer: Registerer;
  readonly #events: SoftphoneEvents;
  #over = false;
  #againMs = AGAIN_MS;
  #againTimer: number | undefined;

  constructor({ user, password }: Account, events: SoftphoneEvents) {
    this.#events = events;
    const { protocol, host } = location;
    this.#agent = new UserAgent({
      uri: addressOf(user),
      authorizationUsername: user,
      authorizationPassword: password,
      transportOptions: { server: `${protocol === 'https:' ? 'wss' : 'ws'}://${host}/sip`, traceSip: false },
      // Whose answer is slow is not taken for gone.
      noAnswerTimeout: NO_ANSWER_S,
      logBuiltinEnabled: false,
      userAgentString: 'Ringdown phone',
      sessionDescriptionHandlerFactory: defaultSessionDescriptionHandlerFactory(() => openMicrophone('')),
      sessionDescriptionHandlerFactoryOptions: { iceGatheringTimeout: GATHERING_MS, peerConnectionConfiguration: { iceServers: [] } },
      delegate: {
        onInvite: (invitation) => events.onIncoming(new SoftphoneCall(invitation)),
        onDisconnect: (error) => this.#disconnected(error),
      },
    });
    this.#registerer = new Registerer(this.#agent, { expires: REGISTRATION_S });
  }

  /** @throws NotReachable, SipRefused */
  async start(): Promise<void> {
    await this.#agent.start().catch(() => {
      throw new NotReachable();
    });
    await this.#register();
    this.#events.onRegistered(true);
  }

  call(name: string): SoftphoneCall {
    return new SoftphoneCall(new Inviter(this.#agent, addressOf(name)));
  }

  /** Signs off and closes. */
  async stop(): Promise<void> {
    this.#over = true;
    clearTimeout(this.#againTimer);
    await this.#registerer.unregister().catch(() => undefined);
    await this.#agent.stop().catch(() => undefined);
  }

  #register(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#registerer
        .register({
          requestDelegate: {
            onAccept: () => resolve(),
            onReject: ({ message }) => reject(new SipRefused('register', message.statusCode ?? 0)),
          },
        })
        .catch(reject);
    });
  }

  #disconnected(error: Error | undefined): void {
    if (this.#over) return;
    this.#events.onRegistered(false, error ? new NotReachable() : undefined);
    this.#againTimer = setTimeout(() => void this.#again(), this.#againMs);
    this.#againMs = Math.min(2 * this.#againMs, AGAIN_AT_MOST_MS);
  }

  async #again(): Promise<void> {
    if (this.#over) return;
    try {
      await this.#agent.reconnect();
      await this.#register();
      this.#againMs = AGAIN_MS;
      this.#events.onRegistered(true);
    } catch (thrown) {
      if (thrown instanceof SipRefused) this.#events.onRegistered(false, thrown);
      else this.#disconnected(undefined);
    }
  }
}

export interface CallEvents {
  readonly onRinging: () => void;
  readonly onUp: (voice: MediaStream) => void;
  /** @param failure why it came to nothing, when it did */
  readonly onEnded: (failure?: unknown) => void;
}

/** One call, either way. */
export class SoftphoneCall {
  readonly #session: Session;
  readonly #invitation: Invitation | undefined;
  #events: CallEvents | undefined;
  #failure: unknown;
  #muted = false;
  #held = false;
  #over = false;
  /** What waits for the end of a transfer. */
  #transferred: (() => void) | undefined;

  constructor(session: Inviter | Invitation) {
    this.#session = session;
    this.#invitation = session instanceof Inviter ? undefined : session;
    session.stateChange.addListener((state) => this.#changed(state));
  }

  /** Who is at the other end. */
  get name(): string {
    const { displayName, uri } = this.#session.remoteIdentity;
    return displayName || uri.user || uri.host;
  }

  /** What happens from now on. */
  listen(events: CallEvents): void {
    this.#events = events;
  }

  /** Rings the other side. @throws DOMException of the microphone */
  async ring(): Promise<void> {
    const session = this.#session;
    if (!(session instanceof Inviter)) return;
    await session.invite({
      requestDelegate: {
        onProgress: () => this.#events?.onRinging(),
        onReject: ({ message }) => {
          this.#failure ??= new SipRefused('call', message.statusCode ?? 0);
        },
      },
    });
  }

  async accept(): Promise<void> {
    await this.#invitation?.accept();
  }

  async decline(): Promise<void> {
    await this.#invitation?.reject({ statusCode: 603 });
  }

  /** The line is taken. */
  async busy(): Promise<void> {
    await this.#invitation?.reject({ statusCode: 486 }).catch(() => undefined);
  }

  async hangUp(): Promise<void> {
    const session = this.#session;
    if (session.state === SessionState.Established) await session.bye();
    else if (session instanceof Inviter) await session.cancel();
    else await this.decline();
  }

  mute(muted: boolean): void {
    this.#muted = muted;
    this.#apply();
  }

  /** @throws SipRefused */
  async hold(held: boolean): Promise<void> {
    const session = this.#session;
    const before = session.sessionDescriptionHandlerOptionsReInvite;
    session.sessionDescriptionHandlerOptionsReInvite = { ...before, hold: held } as typeof before;
    await new Promise<void>((resolve, reject) => {
      session
        .invite({
          requestDelegate: {
            onAccept: () => resolve(),
            onReject: ({ message }) => reject(new SipRefused('hold', message.statusCode ?? 0)),
          },
        })
        .catch(reject);
    });
    this.#held = held;
    this.#apply();
  }

  /** In the audio where that can be; else beside it. */
  async press(key: string): Promise<void> {
    if (this.#media?.sendDtmf(key)) return;
    const body = { contentDisposition: 'render', contentType: 'application/dtmf-relay', content: `Signal=${key}\r\nDuration=160` };
    await this.#session.info({ requestOptions: { body } });
  }

  /**
   * Has whoever is at the other end talk to somebody else: a name or number that is called for it, or the other end of another call of ours. When this
   * resolves our part of it is over.
   * @param onRinging somebody is found and rings
   * @throws SipRefused: all is as it was
   */
  async transfer(to: string | SoftphoneCall, onRinging: () => void): Promise<void> {
    const target = typeof to === 'string' ? addressOf(to) : to.#session;
    await new Promise<void>((resolve, reject) => {
      this.#transferred = resolve;
      const refused = (status: number): void => reject(new SipRefused('transfer', status));
      this.#session
        .refer(target, {
          requestDelegate: { onReject: ({ message }) => refused(message.statusCode ?? 0) },
          onNotify: (notification) => {
            void notification.accept();
            const status = Number(/^SIP\/2\.0 (\d{3})/.exec(notification.request.body)?.[1]);
            if (status === 180) onRinging();
            else if (status >= 300) refused(status);
            else if (status >= 200) resolve();
          },
        })
        .catch(reject);
    }).finally(() => {
      this.#transferred = undefined;
    });
  }

  get #media(): SessionDescriptionHandler | undefined {
    return this.#session.sessionDescriptionHandler as SessionDescriptionHandler | undefined;
  }

  #apply(): void {
    // What comes while the call is held the browser drops by itself.
    const senders = this.#media?.peerConnection?.getSenders() ?? [];
    for (const { track } of senders) if (track) track.enabled = !this.#muted && !this.#held;
  }

  #changed(state: SessionState): void {
    if (state === SessionState.Established && this.#media) this.#events?.onUp(this.#media.remoteMediaStream);
    if (state !== SessionState.Terminated || this.#over) return;
    this.#over = true;
    this.#transferred?.();
    // The status comes right after the state.
    queueMicrotask(() => setTimeout(() => this.#events?.onEnded(this.#failure), 0));
  }
}

/** A name or number at this gateway. @throws Error when it can be neither */
function addressOf(name: string): URI {
  const user = encodeURIComponent(name.trim()).replaceAll('%2B', '+');
  const { hostname } = location;
  const uri = UserAgent.makeURI(`sip:${user}@${hostname}`);
  if (!uri) throw new Error('This is neither a name nor a number.');
  return uri;
}

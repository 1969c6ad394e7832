import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { EndCause } from '../../leg/leg.ts';
import type { EventChannel } from '../../leg/session-host.ts';
import type { Session } from '../session.ts';
import type { SessionSettings } from './session-schema.ts';

export interface SurfaceDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly session: Session;
}

export interface SurfaceOptions {
  readonly sessionId: string;
  readonly media: 'phone' | 'browser' | 'websocket';
  readonly settings: SessionSettings;
  /** The session was made with an ephemeral secret: what it says explicitly stays as it is. */
  readonly ephemeral: boolean;
  /** Default an hour. */
  readonly maxDurationMs?: number;
}

/** One client of a session, as the owner of the connection sees it. */
export interface SurfaceChannel {
  /** One client event, as JSON text. */
  receive(text: string): void;
  /** The client has gone. */
  close(): void;
}

/** The Realtime API of one session: client events in, server events out, to any number of channels. */
export class RealtimeSurface {
  readonly #options: SurfaceOptions;

  constructor(_deps: SurfaceDeps, options: SurfaceOptions) {
    this.#options = options;
  }

  /** The session object in force. */
  get settings(): SessionSettings {
    return this.#options.settings;
  }

  /** The channels that are open. */
  get channels(): number {
    return 0;
  }

  /** Another channel, which gets `session.created` first; undefined when there are too many. */
  open(_channel: EventChannel, _access: { readonly ephemeral: boolean }): SurfaceChannel | undefined {
    return { receive: () => {}, close: () => {} };
  }

  /** Merges a session object into the one in force and tells it to the channels: what `accept` brings. */
  configure(_settings: SessionSettings): void {}

  /** The session is over: tells it and closes every channel. */
  end(_cause: EndCause): void {}
}

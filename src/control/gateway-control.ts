import type { WhyRecord } from './why-view.ts';

/** What came of reading the configuration again. */
export type ReloadOutcome =
  | {
      readonly type: 'applied';
      /** Settings that are in force now, by their keys. */
      readonly applied: readonly string[];
      /** Settings that are others in the file, and are taken at the next start. */
      readonly needsRestart: readonly string[];
    }
  /** Nothing was changed. */
  | { readonly type: 'refused'; readonly faults: readonly ConfigFault[] };

/** One thing wrong: where, which key, and what. Never a secret. */
export interface ConfigFault {
  readonly source: string;
  readonly key: string;
  readonly value?: string;
  readonly message: string;
}

/** A trunk as people look at it. */
export interface TrunkStatus {
  readonly name: string;
  /** Whether it answers its keep-alives; absent where nobody asks. */
  readonly up?: boolean;
  readonly inbound: { readonly calls: number; readonly today: number };
  readonly outbound: { readonly calls: number; readonly today: number };
  /** Absent where we do not register. */
  readonly registration?: { readonly registered: boolean; readonly since: number; readonly registrar: string; readonly failure?: string };
}

/** A user as people look at it. */
export interface UserStatus {
  readonly user: string;
  readonly contacts: readonly { readonly transport: string; readonly expiresInS: number }[];
}

/** An address that SIP does not listen to for a while. */
export interface BanStatus {
  /** An IPv4 address, or an IPv6 /64. */
  readonly source: string;
  readonly reason: string;
  /** Unix milliseconds. */
  readonly since: number;
  readonly expiresInS: number;
  readonly times: number;
}

/** The process itself, for whoever runs it. */
export interface GatewayControl {
  /** Reads the configuration again. Never throws. */
  reload(): Promise<ReloadOutcome>;
  /** Undefined where no phones are served. */
  trunks(): readonly TrunkStatus[] | undefined;
  users(): readonly UserStatus[] | undefined;
  bans(): readonly BanStatus[] | undefined;
  /** Listens to an address, and the IPv6 network it is in, again. False when it was not banned. */
  liftBan(address: string): boolean | undefined;
  /** What is known of a call that goes on or has ended lately; `unknown` where there is none of that name, undefined where no phones are served. */
  why(id: string): WhyRecord | 'unknown' | undefined;
}

import { GatewayError } from '../../base/errors.ts';

/** Audio as a server takes or gives it: base64 of 16 bit PCM at some rate, or of G.711 at 8 kHz. */
export interface UpstreamAudioFormat {
  readonly encoding: 'pcm' | 'pcmu' | 'pcma';
  readonly rateHz: number;
}

/** What a server can do; what it cannot is done without it, or refused as a fault. */
export interface UpstreamAbilities {
  /** `conversation.item.truncate` shortens what the model believes to have said. */
  readonly truncate: boolean;
  /** `conversation.item.delete`: turns that go on after an early commit are replaced by the whole, and what nobody heard is taken back. */
  readonly delete: boolean;
  /** `conversation.item.retrieve`. Not needed by us; told to those who ask what a profile can do. */
  readonly retrieve: boolean;
  /** Responses with `conversation: "none"`. */
  readonly outOfBand: boolean;
  /** Items that we put there keep the ids we give them. */
  readonly createItemIds: boolean;
  /** It can write down what the caller said. */
  readonly inputTranscription: boolean;
  /** It knows `semantic_vad`. */
  readonly semanticVad: boolean;
}

/** How a kind of Realtime-compatible server differs from the reference. Data only. */
export interface UpstreamProfile {
  readonly name: string;
  /** `ga`: event and field names of the general availability; `beta`: those of the preview. Names in what comes are understood either way. */
  readonly dialect: 'ga' | 'beta';
  /** Appended to the configured URL; `{model}` is replaced. A configured URL that has a query already, or ends in /realtime, keeps its path. */
  readonly path: string;
  /** Header that carries the key, and what stands before the key in it. */
  readonly auth: { readonly header: string; readonly prefix: string };
  readonly headers: Readonly<Record<string, string>>;
  readonly input: UpstreamAudioFormat;
  readonly output: UpstreamAudioFormat;
  /** Further names of server events that mean one of the reference's: `{ "response.speech.delta": "response.output_audio.delta" }`. */
  readonly eventNames: Readonly<Record<string, string>>;
  readonly supports: UpstreamAbilities;
  /** A session of the server ends after so long; undefined: never, or it says so itself. */
  readonly capMinutes: number | undefined;
}

const PCM_24K: UpstreamAudioFormat = { encoding: 'pcm', rateHz: 24_000 };

const EVERYTHING: UpstreamAbilities = {
  truncate: true,
  delete: true,
  retrieve: true,
  outOfBand: true,
  createItemIds: true,
  inputTranscription: true,
  semanticVad: true,
};

const openai: UpstreamProfile = {
  name: 'openai',
  dialect: 'ga',
  path: '/realtime?model={model}',
  auth: { header: 'authorization', prefix: 'Bearer ' },
  headers: {},
  input: PCM_24K,
  output: PCM_24K,
  eventNames: {},
  supports: EVERYTHING,
  capMinutes: 60,
};

/** Profiles by name. `generic` is for any server with the reference's names, `generic-beta` for one with those of the preview. */
const UPSTREAM_PROFILES = {
  openai,
  azure: { ...openai, name: 'azure', path: '/openai/v1/realtime?model={model}', auth: { header: 'api-key', prefix: '' } },
  generic: {
    ...openai,
    name: 'generic',
    // The least that servers of this kind have in common (they name items themselves, forget neither items nor sessions).
    supports: { ...EVERYTHING, delete: false, retrieve: false, outOfBand: false, createItemIds: false, semanticVad: false },
    capMinutes: undefined,
  },
  'generic-beta': {
    ...openai,
    name: 'generic-beta',
    dialect: 'beta',
    headers: { 'openai-beta': 'realtime=v1' },
    supports: { ...EVERYTHING, delete: false, retrieve: false, outOfBand: false, createItemIds: false, semanticVad: false },
    capMinutes: undefined,
  },
} as const satisfies Readonly<Record<string, UpstreamProfile>>;

export type UpstreamProfileName = keyof typeof UPSTREAM_PROFILES;

/** What may be said differently from a profile. */
export type UpstreamProfileChanges = Partial<Omit<UpstreamProfile, 'supports'>> & { readonly supports?: Partial<UpstreamAbilities> };

/** A profile with what is different at this server. @throws GatewayError ERR_CONFIG for a rate that audio cannot have */
export function upstreamProfile(name: UpstreamProfileName, changes: UpstreamProfileChanges = {}): UpstreamProfile {
  const base: UpstreamProfile = UPSTREAM_PROFILES[name];
  const profile = { ...base, ...changes, supports: { ...base.supports, ...changes.supports } };
  for (const { encoding, rateHz } of [profile.input, profile.output]) {
    const known = encoding === 'pcm' ? [8000, 16_000, 24_000, 48_000].includes(rateHz) : rateHz === 8000;
    if (!known) throw new GatewayError('ERR_CONFIG', `${encoding} at ${rateHz} Hz is not an audio format of a model server`);
  }
  return profile;
}

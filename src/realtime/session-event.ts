import type { Answered } from '../leg/answered-by.ts';
import type { EndCause, TransferState } from '../leg/leg.ts';
import type { AgentPresence, PartyId, PersonFailure, PersonState } from '../leg/person.ts';
import type { InputTranscriptEvent, RateLimit, ResponseRequest, ResponseUsage } from './model.ts';

import type { HostedCallItem, RecordItem, ToolListItem } from './record-item.ts';
import type { EntryEnd } from './tools/digit-collector.ts';
import type { FillerChoice } from './tools/tool-source.ts';

import type { TurnLatency } from './turn-latency.ts';
import type { Rejection } from './turn-output.ts';

/** Why a response was stopped by us: somebody spoke, or a program asked. */
export type StopReason = 'turn_detected' | 'client_cancelled';

/** Where in a response something is. */
export interface OutputPlace {
  readonly responseId: string;
  readonly itemId: string;
  readonly outputIndex: number;
}

export interface PartPlace extends OutputPlace {
  readonly contentIndex: number;
}

/** Whose turn it is, and what became of the caller's audio. Milliseconds count the caller's audio from the beginning. */
export type TurnNews =
  | { readonly type: 'speech_started'; readonly itemId: string; readonly startMs: number }
  | { readonly type: 'speech_stopped'; readonly itemId: string; readonly endMs: number }
  /** The audio became an item; `item_added` and `item_done` follow. */
  | { readonly type: 'turn_committed'; readonly itemId: string; readonly previousItemId: string | null }
  | { readonly type: 'input_cleared' }
  /** Nobody said anything for long; the silence is committed as a turn. */
  | { readonly type: 'idle_timeout'; readonly itemId: string; readonly startMs: number; readonly endMs: number };

export type ItemNews =
  | { readonly type: 'item_added'; readonly item: RecordItem; readonly previousItemId: string | null }
  | { readonly type: 'item_done'; readonly item: RecordItem; readonly previousItemId: string | null }
  | { readonly type: 'item_deleted'; readonly itemId: string }
  /** Of this item's audio only so much was said. */
  | { readonly type: 'item_truncated'; readonly itemId: string; readonly contentIndex: number; readonly audioEndMs: number };

/** What was heard, and when: estimates and measures that the reference has no words for. */
export type MeasureNews =
  /** After `item_truncated`: what the caller had probably heard when the voice began. */
  | {
      readonly type: 'item_heard';
      readonly itemId: string;
      /** What left on the wire: exact to 20 ms. */
      readonly audioEndMs: number;
      readonly heardMs: number;
      /** undefined: the model told no transcript. */
      readonly transcript: string | undefined;
      readonly toleranceMs: number;
    }
  /** A voice over the agent's speech silenced it for a moment and was no interruption. */
  | { readonly type: 'barge_in_rejected'; readonly reason: Rejection }
  | (TurnLatency & { readonly type: 'turn_latency' });

/** What other machines offer: the list is an item of the conversation, empty until it is done. */
export type ListingNews =
  | { readonly type: 'listing_started'; readonly item: ToolListItem; readonly previousItemId: string | null }
  | { readonly type: 'listing_done'; readonly item: ToolListItem; readonly failed: boolean; readonly previousItemId: string | null };

export type ResponseNews =
  /** `request`: absent for the answer to a turn, and for what the model says by itself. */
  | { readonly type: 'response_started'; readonly responseId: string; readonly request?: ResponseRequest | undefined }
  /** `inConversation` false: out of band, the item is no part of the conversation. */
  | (OutputPlace & {
      readonly type: 'output_started';
      readonly item: RecordItem;
      readonly inConversation: boolean;
      readonly previousItemId: string | null;
    })
  | (PartPlace & { readonly type: 'part_started'; readonly part: 'audio' | 'text' })
  | (PartPlace & { readonly type: 'text'; readonly delta: string })
  | (PartPlace & { readonly type: 'transcript'; readonly delta: string })
  /** Only where audio is streamed. */
  | (PartPlace & { readonly type: 'audio'; readonly pcm: Int16Array })
  /** `callId`: undefined where the gateway runs the tool. */
  | (OutputPlace & { readonly type: 'arguments'; readonly callId: string | undefined; readonly delta: string })
  /** `text`: all of it; for audio its transcript, undefined when the model told none. */
  | (PartPlace & { readonly type: 'part_done'; readonly part: 'audio' | 'text'; readonly text: string | undefined })
  | (OutputPlace & {
      readonly type: 'output_done';
      readonly item: RecordItem;
      readonly inConversation: boolean;
      readonly previousItemId: string | null;
    })
  | {
      readonly type: 'response_done';
      readonly responseId: string;
      readonly request?: ResponseRequest | undefined;
      readonly status: 'completed' | 'cancelled' | 'failed' | 'incomplete';
      readonly reason?: string | undefined;
      readonly error?: { readonly code: string; readonly message: string } | undefined;
      readonly usage?: ResponseUsage | undefined;
      readonly output: readonly RecordItem[];
    };

/** Tools that the gateway runs: the call is written as an output of its response, and then runs. */
export type ToolNewsEvent =
  | (OutputPlace & { readonly type: 'tool_started' })
  | (OutputPlace & { readonly type: 'tool_progress'; readonly message: string })
  /** It has its result; `item` is the call with it. Each call has one. */
  | (OutputPlace & { readonly type: 'tool_done'; readonly item: HostedCallItem; readonly previousItemId: string | null });

/** What keys are collected, and what the caller is to hear meanwhile. */
export type CallNews =
  | { readonly type: 'entry_started'; readonly secure: boolean }
  | { readonly type: 'entry_ended'; readonly secure: boolean; readonly count: number; readonly endedBy: EntryEnd }
  /** Only where the far end plays: it is to play this itself while nobody speaks; `none`: nothing any more. */
  | { readonly type: 'filler'; readonly sound: FillerChoice['sound']; readonly afterMs: number; readonly text: string | undefined };

/** What of a response is on the wire. Only where audio is paced. */
export type PlaybackNews = { readonly type: 'playback_started' | 'playback_stopped' | 'playback_cleared'; readonly responseId: string };

/** Persons who are called for the session, and what becomes of them. */
export type PersonNews =
  | { readonly type: 'person_state'; readonly leg: PartyId; readonly state: PersonState; readonly agent?: AgentPresence }
  | {
      readonly type: 'person_failed';
      readonly leg: PartyId;
      readonly reason: PersonFailure;
      /** Of SIP, where one came. */
      readonly status?: number | undefined;
    }
  | { readonly type: 'person_answered'; readonly leg: PartyId }
  | { readonly type: 'person_ended'; readonly leg: PartyId; readonly cause: EndCause }
  /** Who has answered a call that we placed: a person's, or the one that the session is. */
  | (Answered & { readonly type: 'answered_by'; readonly leg: PartyId })
  | { readonly type: 'person_dtmf'; readonly leg: PartyId; readonly digit: string }
  /** The caller hears music, or no more, because a program says so. */
  | { readonly type: 'caller_held'; readonly held: boolean };

/** Everything a session tells of itself to whoever listens, in the words of the conversation. */
export type SessionEvent =
  | TurnNews
  | ItemNews
  | ResponseNews
  | ToolNewsEvent
  | ListingNews
  | CallNews
  | PlaybackNews
  | MeasureNews
  | PersonNews
  | InputTranscriptEvent
  | { readonly type: 'dtmf'; readonly digit: string }
  | { readonly type: 'dtmf_sent'; readonly digits: string }
  | { readonly type: 'transfer'; readonly state: TransferState; readonly status?: number | undefined }
  | { readonly type: 'hold'; readonly held: boolean }
  | { readonly type: 'rate_limits'; readonly limits: readonly RateLimit[] }
  /** Something went wrong without ending the conversation. `requestId`: the response that will not come; `itemId`: the item that was not taken. */
  | {
      readonly type: 'fault';
      readonly code: string;
      readonly message: string;
      readonly param?: string | undefined;
      readonly requestId?: string | undefined;
      readonly itemId?: string | undefined;
    }
  | { readonly type: 'ended'; readonly cause: EndCause };

/** Who listens to a session. Without a listener no event is made. */
export interface Audience {
  listener: ((event: SessionEvent) => void) | undefined;
}

/** Why a command was not carried out; nothing has changed. */
export interface CommandFault {
  readonly code: string;
  readonly message: string;
}

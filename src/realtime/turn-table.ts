/**
 * Who has the floor. `off`: turns are not looked at (before the answer, in echo mode, while the call is being ended);
 * `idle`: nobody; `user`: the caller speaks; `gap`: silence in the caller's turn; `prepared`: the
 * same, and the model prepares an answer nobody may hear yet; `waiting`: the turn is with the model,
 * no audio yet; `agent`: our audio leaves; `held`: our audio is faded to silence, its place kept, the model not told;
 * `lost`: the model is gone, what is queued is still played.
 */
export type TurnState = 'off' | 'idle' | 'user' | 'gap' | 'prepared' | 'waiting' | 'agent' | 'held' | 'lost';

/** What can happen, in the words of the conversation; the machine makes them of frames and time. */
export type TurnEvent =
  | 'turns_on'
  | 'turns_off'
  | 'model_lost'
  /** Enough evidence of a near-end voice. */
  | 'onset'
  /** The same over the agent's speech, where that is not held first. */
  | 'onset_at_once'
  /** An onset so soon after a commit that the commit was too early. */
  | 'continuation'
  /** 160 ms of silence in a turn. */
  | 'paused'
  /** The silence outlasted what this caller's pauses predict. */
  | 'wait_over'
  | 'turn_too_long'
  /** So much silence that an answer is worth preparing. */
  | 'prepare_due'
  /** The model's server, which decides about turns, says that this one is over. */
  | 'ended_upstream'
  /** What was heard is committed or thrown away by somebody else. */
  | 'input_taken'
  /** Somebody asked the model to respond. */
  | 'asked'
  | 'audio_started'
  /** The model owes audio and none has come for a while. */
  | 'audio_stalled'
  | 'audio_ended'
  /** The response is done and had no audio. */
  | 'nothing_to_say'
  /** Verdicts on a hold: it was an interruption, still spoken; it was one, and is over; it was none; it was a click over our first syllable. */
  | 'hold_interrupted'
  | 'hold_answered'
  | 'hold_rejected'
  | 'hold_restarted'
  /** Words that came after a rejected hold say that it was an interruption. */
  | 'hold_overruled'
  /** A key was pressed, and keys interrupt. */
  | 'key';

/** What is done on the way into the next state, in this order. */
export type TurnAction =
  | 'begin_turn'
  | 'resume_turn'
  | 'learn_pause'
  /** Whoever can tell whether the turn is over is asked. */
  | 'ask'
  | 'prepare'
  | 'drop_preparation'
  | 'commit'
  | 'discard_turn'
  | 'take_turn'
  | 'cancel'
  | 'open_speech'
  | 'close_speech'
  | 'hold'
  | 'resume'
  | 'restart'
  | 'interrupt';

export interface TurnRow {
  readonly to: TurnState;
  readonly do: readonly TurnAction[];
}

/** Every transition there is. An event without a row in a state changes nothing there. */
export const TURN_TABLE: { readonly [S in TurnState]: { readonly [E in TurnEvent]?: TurnRow } } = {
  off: {
    turns_on: { to: 'idle', do: [] },
    model_lost: { to: 'lost', do: [] },
  },
  idle: {
    onset: { to: 'user', do: ['begin_turn'] },
    asked: { to: 'waiting', do: [] },
    audio_started: { to: 'agent', do: ['open_speech'] },
    key: { to: 'idle', do: ['cancel'] },
    turns_off: { to: 'off', do: [] },
    model_lost: { to: 'lost', do: [] },
  },
  user: {
    paused: { to: 'gap', do: ['ask'] },
    turn_too_long: { to: 'waiting', do: ['commit'] },
    ended_upstream: { to: 'waiting', do: ['commit'] },
    input_taken: { to: 'idle', do: ['take_turn'] },
    key: { to: 'idle', do: ['discard_turn'] },
    turns_off: { to: 'off', do: ['discard_turn'] },
    model_lost: { to: 'lost', do: ['discard_turn'] },
  },
  gap: {
    onset: { to: 'user', do: ['learn_pause'] },
    prepare_due: { to: 'prepared', do: ['prepare'] },
    wait_over: { to: 'waiting', do: ['commit'] },
    ended_upstream: { to: 'waiting', do: ['commit'] },
    input_taken: { to: 'idle', do: ['take_turn'] },
    key: { to: 'idle', do: ['discard_turn'] },
    turns_off: { to: 'off', do: ['discard_turn'] },
    model_lost: { to: 'lost', do: ['discard_turn'] },
  },
  prepared: {
    onset: { to: 'user', do: ['drop_preparation', 'learn_pause'] },
    wait_over: { to: 'waiting', do: ['commit'] },
    input_taken: { to: 'idle', do: ['drop_preparation', 'take_turn'] },
    key: { to: 'idle', do: ['drop_preparation', 'discard_turn'] },
    turns_off: { to: 'off', do: ['drop_preparation', 'discard_turn'] },
    model_lost: { to: 'lost', do: ['drop_preparation', 'discard_turn'] },
  },
  waiting: {
    continuation: { to: 'user', do: ['learn_pause', 'cancel', 'resume_turn'] },
    onset: { to: 'user', do: ['cancel', 'begin_turn'] },
    audio_started: { to: 'agent', do: ['open_speech'] },
    nothing_to_say: { to: 'idle', do: [] },
    key: { to: 'idle', do: ['cancel'] },
    turns_off: { to: 'off', do: [] },
    model_lost: { to: 'lost', do: [] },
  },
  agent: {
    onset: { to: 'held', do: ['hold'] },
    onset_at_once: { to: 'user', do: ['interrupt', 'close_speech', 'begin_turn'] },
    hold_overruled: { to: 'gap', do: ['interrupt', 'close_speech', 'begin_turn'] },
    audio_stalled: { to: 'waiting', do: ['close_speech'] },
    audio_ended: { to: 'idle', do: ['close_speech'] },
    key: { to: 'idle', do: ['interrupt', 'close_speech'] },
    turns_off: { to: 'off', do: ['close_speech'] },
    model_lost: { to: 'lost', do: ['close_speech'] },
  },
  held: {
    hold_interrupted: { to: 'user', do: ['interrupt', 'close_speech', 'begin_turn'] },
    hold_answered: { to: 'gap', do: ['interrupt', 'close_speech', 'begin_turn'] },
    hold_rejected: { to: 'agent', do: ['resume'] },
    hold_restarted: { to: 'agent', do: ['restart'] },
    key: { to: 'idle', do: ['interrupt', 'close_speech'] },
    turns_off: { to: 'off', do: ['resume', 'close_speech'] },
    model_lost: { to: 'lost', do: ['resume', 'close_speech'] },
  },
  lost: {},
};

/** What an event leads to: the next state and what is done on the way. */
export interface Transition<State, Action> {
  readonly to: State;
  readonly actions: readonly Action[];
}

/** A state machine as data. An event without an entry changes nothing in that state. */
export type TransitionTable<State extends string, Event extends string, Action> = Readonly<
  Record<State, Readonly<Partial<Record<Event, Transition<State, Action>>>>>
>;

/** Something that whoever runs the gateway should look at. */
export interface Alert {
  readonly kind: AlertKind;
  /** The trunk, or the address it is about. Never a phone number. */
  readonly subject: string;
  /** In words. */
  readonly detail: string;
}

export type AlertKind =
  | 'cap_concurrent'
  | 'cap_per_second'
  | 'cap_per_day'
  /** Wrong passwords, as many as are free and one more. */
  | 'password_guesses'
  /** More SIP messages from one address than it may send. */
  | 'rate_limited'
  /** An address is not listened to for a while. */
  | 'source_banned'
  /** A trunk's calls do not come any more. */
  | 'registration_lost'
  /** A trunk does not answer its keep-alives. */
  | 'trunk_down';

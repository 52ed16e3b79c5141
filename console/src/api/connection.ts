// Whether the server answers. Live views and requests report here; the shell shows it.

export type ConnectionState = 'online' | 'lost' | 'signedOut';

class Connection {
  #state: ConnectionState = 'online';
  #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  readonly state = (): ConnectionState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Something answered. */
  seen(): void {
    if (this.#state === 'lost') this.#set('online');
  }

  /** Nothing answered: asks every two seconds until something does. */
  lost(): void {
    if (this.#state !== 'online') return;
    this.#set('lost');
    this.#probe();
  }

  signedOut(): void {
    this.#set('signedOut');
  }

  /** After a new login. */
  signedIn(): void {
    this.#set('online');
  }

  #probe(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      try {
        const answer = await fetch('/console/v1/session', { credentials: 'same-origin' });
        if (answer.status === 401) this.#set('signedOut');
        else this.#set('online');
      } catch {
        this.#probe();
      }
    }, 2_000);
  }

  #set(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

export const connection = new Connection();

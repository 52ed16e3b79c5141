/** Where the session of the login link is kept for the tests of one run. */
export const STATE = 'e2e/.results/session.json';

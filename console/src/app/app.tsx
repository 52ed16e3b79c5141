// Providers, who is logged in, and the routes of what is there.
import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { lazy, Suspense, useMemo, useSyncExternalStore } from 'react';
import { createBrowserRouter, type DataRouter, RouterProvider } from 'react-router';
import { connection } from '../api/connection';
import { kindsQuery, useKinds } from '../api/discovery';
import { ApiError } from '../api/http';
import { sessionQuery, useSession } from '../api/session';
import { usePreferences } from '../i18n/preferences';
import { UrlStateProvider } from '../lib/url-state';
import { paths } from '../paths';
import { Loading } from '../ui/faces';
import { PageBoundary } from './boundary';
import { type PageEntry, pages } from './navigation';
import { NotFound } from './not-found';
import { Shell } from './shell';
import { themeFor, variables } from './theme';

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => !(error instanceof ApiError && error.status >= 400 && error.status < 500) && count < 2,
    },
  },
});

// Asked before anything is drawn, and both at once: each page waits for the answers.
void queries.prefetchQuery(sessionQuery);
void queries.prefetchQuery(kindsQuery);

/** The nonce of this page's answer, for style elements made at run time. */
export const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';
// Where the scroll lock of dialogs and menus looks for it.
Object.assign(globalThis, { __webpack_nonce__: nonce });

export function App() {
  const { language } = usePreferences();
  const theme = useMemo(() => themeFor(language), [language]);
  return (
    <QueryClientProvider client={queries}>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={variables}
        defaultColorScheme="auto"
        getStyleNonce={() => nonce}
      >
        <Notifications position="bottom-right" />
        <PageBoundary>
          <Suspense fallback={<Loading />}>
            <Entrance />
          </Suspense>
        </PageBoundary>
      </MantineProvider>
    </QueryClientProvider>
  );
}

function Entrance() {
  const state = useSyncExternalStore(connection.subscribe, connection.state);
  if (state === 'signedOut') return <Login onLogin={() => queries.clear()} />;
  return (
    <PageBoundary>
      <Suspense fallback={<Loading />}>
        <Routes />
      </Suspense>
    </PageBoundary>
  );
}

const Login = lazy(async () => {
  const [part] = await Promise.all([import('./login'), import('./all-styles')]);
  return { default: part.Login };
});

/** Home has its styles already. */
function loader(route: PageEntry['routes'][number]): PageEntry['routes'][number]['load'] {
  if (route.path === paths.home()) return route.load;
  return async () => (await Promise.all([route.load(), import('./all-styles')]))[0];
}

function Routes() {
  const session = useSession();
  const kinds = useKinds();
  const there = pages.filter((page) => page.needs({ kinds, session })).map((page) => pages.indexOf(page));
  // Made anew only when a page comes or goes: a new router forgets what is written in the open page.
  const offered = there.join();
  const router = useMemo(() => {
    const Root = () => (
      <UrlStateProvider router={made}>
        <Shell />
      </UrlStateProvider>
    );
    const made: DataRouter = createBrowserRouter([
      {
        Component: Root,
        hydrateFallbackElement: <Loading />,
        children: [
          ...pages
            .filter((_, index) => offered.split(',').includes(String(index)))
            .flatMap((page) => page.routes)
            .map((route) => ({ path: route.path, lazy: loader(route) })),
          { path: '*', Component: NotFound },
        ],
      },
    ]);
    return made;
  }, [offered]);
  return <RouterProvider router={router} />;
}

// A page that breaks says so and can be tried again; the rest of the console goes on.
import { QueryErrorResetBoundary } from '@tanstack/react-query';
import { Component, type ReactNode } from 'react';
import { Failed } from '../ui/faces';

interface BoundaryState {
  error: unknown;
}

class Boundary extends Component<{ children: ReactNode; reset: () => void }, BoundaryState> {
  override state: BoundaryState = { error: undefined };

  static getDerivedStateFromError(error: unknown): BoundaryState {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === undefined) return this.props.children;
    const retry = () => {
      this.props.reset();
      this.setState({ error: undefined });
    };
    return <Failed error={this.state.error} retry={retry} />;
  }
}

export function PageBoundary(props: { children: ReactNode }) {
  return (
    <QueryErrorResetBoundary>
      {({ reset }) => <Boundary reset={reset}>{props.children}</Boundary>}
    </QueryErrorResetBoundary>
  );
}

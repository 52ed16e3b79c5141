// Written by `npm run types` from openapi/maru.dev.v1alpha1.json, the document of the API. Not edited by hand.
import type { LocalText } from "../i18n/texts";
export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description A person's word on something, at a time. It becomes evidence. */
        "dev.maru.v1alpha1.Approval": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                /** Format: date-time */
                at?: string;
                by?: string;
                comment?: string;
                /** @enum {string} */
                decision: "approved" | "rejected";
                of: {
                    fingerprint?: string;
                    kind: string;
                    name: string;
                }[];
                role: string;
            };
            status?: {
                evidence?: string;
                reason?: string;
            };
        };
        "dev.maru.v1alpha1.ApprovalList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Approval"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description The services of a system, what they call, and the ways to run them. */
        "dev.maru.v1alpha1.Architecture": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                contexts?: {
                    name: string;
                    relations?: {
                        to: string;
                        type?: string;
                    }[];
                    team?: string;
                    terms?: string[];
                }[];
                services?: {
                    calls?: {
                        critical?: boolean;
                        per?: string;
                        /** Format: int32 */
                        times?: number;
                        to: string;
                    }[];
                    context?: string;
                    database?: string;
                    name: string;
                    options?: {
                        /** @description A share of one like 0.999, or percent like "99.9%". */
                        availability?: string | number;
                        capacity?: string;
                        /** @description A share of one like 0.999, or percent like "99.9%". */
                        commonCause?: string | number;
                        cost?: string;
                        evidence?: string;
                        /** @enum {string} */
                        from?: "estimate" | "measured";
                        latency?: {
                            [key: string]: string;
                        };
                        name: string;
                        /** Format: int32 */
                        needed?: number;
                        node?: string;
                        recoveryPoint?: string;
                        recoveryTime?: string;
                        /** Format: int32 */
                        replicas?: number;
                    }[];
                    runs?: string;
                }[];
            };
            status?: Record<string, never>;
        };
        "dev.maru.v1alpha1.ArchitectureList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Architecture"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description A state of the project that was agreed and signed. */
        "dev.maru.v1alpha1.Baseline": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                /** @description A text, or an object with ko and en. */
                change?: LocalText;
                items?: {
                    fingerprint: string;
                    kind: string;
                    name: string;
                }[];
                previous?: string;
                /** @description A text, or an object with ko and en. */
                title?: LocalText;
            };
            status?: {
                /** Format: date-time */
                at?: string;
                /** Format: int64 */
                changeCount?: number;
                changes?: {
                    /** @enum {string} */
                    change: "added" | "changed" | "removed";
                    from?: string;
                    impacts?: string[];
                    kind: string;
                    name: string;
                    to?: string;
                }[];
                content?: string;
                envelope?: string;
                fingerprint?: string;
                previous?: string;
                reason?: string;
                /** Format: int64 */
                requirements?: number;
            };
        };
        "dev.maru.v1alpha1.BaselineList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Baseline"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description A page of panels over queries. */
        "dev.maru.v1alpha1.Board": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                /** @description What it is for. */
                description?: string;
                notes?: string[];
                /** @description How often it is read again, as 30s. */
                refresh?: string;
                rows: {
                    /** @description Whether only the heading is shown at first. */
                    collapsed?: boolean;
                    panels: {
                        columns?: {
                            /** @description Digits behind the point. */
                            decimals?: number;
                            /** @description A label, value, value A, or time. */
                            field: string;
                            thresholds?: {
                                /** @description green, yellow, orange, red, blue, purple, gray, or #rrggbb. */
                                color: string;
                                /** @description The least value; without it all below the next. */
                                from?: number;
                            }[];
                            /** @description The heading. */
                            title?: string;
                            /** @description The unit. */
                            unit?: string;
                        }[];
                        /** @description Digits behind the point. */
                        decimals?: number;
                        /** @description What it shows. */
                        description?: string;
                        /** @enum {string} */
                        draw?: "line" | "area" | "bars" | "points";
                        /** @default 8 */
                        height: number;
                        /** @enum {string} */
                        kind: "timeSeries" | "stat" | "gauge" | "bar" | "table" | "heatmap" | "text";
                        links?: {
                            /** @description What is shown. */
                            title: string;
                            /** @description Where it leads. */
                            url: string;
                        }[];
                        mappings?: {
                            /** @description Its colour. */
                            color?: string;
                            /** @description From here on. */
                            from?: number;
                            /** @description What is shown. */
                            text?: string;
                            /** @description Up to here. */
                            to?: number;
                            /** @description The value as text. */
                            value?: string;
                        }[];
                        /** @description The greatest value of the axis. */
                        max?: number;
                        /** @description The least value of the axis. */
                        min?: number;
                        queries?: {
                            /** @description Whether it is not asked. */
                            hidden?: boolean;
                            /** @description Whether only the end of the time is asked. */
                            instant?: boolean;
                            /** @description What a series is called, with {{label}}. */
                            legend?: string;
                            /** @description What columns of tables name it by: A, B. */
                            name?: string;
                            /** @description PromQL with variables. */
                            query: string;
                            /** @description The least step, as 1m. */
                            step?: string;
                        }[];
                        /** @enum {string} */
                        reduce?: "last" | "first" | "mean" | "min" | "max" | "sum" | "count" | "delta";
                        /** @description A variable: the panel stands once for each value that is chosen. */
                        repeat?: string;
                        /** @enum {string} */
                        stack?: "none" | "normal" | "percent";
                        /** @description Markdown. */
                        text?: string;
                        thresholds?: {
                            /** @description green, yellow, orange, red, blue, purple, gray, or #rrggbb. */
                            color: string;
                            /** @description The least value; without it all below the next. */
                            from?: number;
                        }[];
                        /** @description The heading. */
                        title?: string;
                        /** @description The unit of the values. */
                        unit?: string;
                        /** @default 12 */
                        width: number;
                    }[];
                    /** @description A variable: the row stands once for each value that is chosen. */
                    repeat?: string;
                    /** @description The heading. */
                    title?: string;
                }[];
                tags?: string[];
                time?: {
                    /** @description now-1h, or RFC 3339. */
                    from: string;
                    /** @description now, or RFC 3339. */
                    to: string;
                };
                /** @description What people call it. */
                title: string;
                variables?: {
                    /** @description Whether all can be chosen at once. */
                    all?: boolean;
                    /** @description What queries get for all; a|b without it. */
                    allValue?: string;
                    default?: string[];
                    /** @description Whether the reader does not see it. */
                    hidden?: boolean;
                    /** @enum {string} */
                    kind: "labelValues" | "metricNames" | "query" | "custom" | "interval" | "constant" | "text";
                    /** @description Of labelValues: the label. */
                    label?: string;
                    /** @description Of labelValues: a selector of the series that are asked. */
                    match?: string;
                    /** @description Whether several may be chosen; queries get a|b. */
                    multiple?: boolean;
                    /** @description The name in queries: $name or ${name}. */
                    name: string;
                    /** @description Of query: an instant query. */
                    query?: string;
                    /** @description Keeps the values that it matches; its first group is the value. */
                    regex?: string;
                    /** @description What people call it. */
                    title?: string;
                    values?: {
                        /** @description What is shown. */
                        text?: string;
                        /** @description What queries get. */
                        value: string;
                    }[];
                }[];
            };
            status?: Record<string, never>;
        };
        "dev.maru.v1alpha1.BoardList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Board"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description A document that is made of the project's state. */
        "dev.maru.v1alpha1.Document": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                baseline?: string;
                formats?: ("html" | "pdf" | "docx" | "xlsx" | "hwpx")[];
                /** @enum {string} */
                language?: "ko" | "en";
                /** @enum {string} */
                type: "requirementsDefinition" | "traceabilityMatrix" | "testResult" | "auditMatrix";
            };
            status?: {
                /** Format: date-time */
                at?: string;
                content?: string;
                files?: {
                    /** Format: int64 */
                    bytes?: number;
                    digest: string;
                    format: string;
                }[];
                reason?: string;
            };
        };
        "dev.maru.v1alpha1.DocumentList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Document"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description A place where the system runs. */
        "dev.maru.v1alpha1.Environment": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                /** @description A text, or an object with ko and en. */
                description?: LocalText;
                namespace: string;
                /** @enum {string} */
                purpose?: "development" | "test" | "production";
            };
            status?: {
                reason?: string;
                subjects?: {
                    digest?: string;
                    fingerprint?: string;
                    /** @enum {string} */
                    kind: "image" | "configuration" | "commit" | "requirement" | "environment" | "artifact";
                    name: string;
                }[];
            };
        };
        "dev.maru.v1alpha1.EnvironmentList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Environment"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description The index of one signed envelope: what was seen about what, when, by which tool. Immutable. */
        "dev.maru.v1alpha1.Evidence": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                envelope: string;
                environment?: string;
                name?: string;
                predicateType: string;
                previous?: string;
                producer: {
                    parameters?: string;
                    tool: string;
                    version?: string;
                };
                raw?: string;
                result: {
                    confidence?: number;
                    high?: number;
                    load?: number;
                    low?: number;
                    notes?: string[];
                    /** @enum {string} */
                    outcome: "Met" | "Violated" | "Insufficient";
                    quantile?: number;
                    /** Format: int64 */
                    samples?: number;
                    threshold?: number;
                    unit?: string;
                    value?: number;
                };
                subjects: {
                    digest?: string;
                    fingerprint?: string;
                    /** @enum {string} */
                    kind: "image" | "configuration" | "commit" | "requirement" | "environment" | "artifact";
                    name: string;
                }[];
                /** Format: date-time */
                validUntil?: string;
                window: {
                    /** Format: date-time */
                    from: string;
                    /** Format: date-time */
                    to: string;
                };
            };
            status?: {
                reason?: string;
                /** Format: int64 */
                sequence?: number;
                verified?: boolean;
            };
        };
        "dev.maru.v1alpha1.EvidenceList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Evidence"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description Conditions on entering or leaving a stage. */
        "dev.maru.v1alpha1.Gate": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                /** @enum {string} */
                side?: "entry" | "exit";
                stage: string;
                terms: {
                    expression: string;
                    /** @description A text, or an object with ko and en. */
                    message: LocalText;
                    unblock?: string[];
                }[];
            };
            status?: {
                blocked?: {
                    /** Format: int64 */
                    count?: number;
                    error?: string;
                    expression: string;
                    from?: string;
                    /** @description A text, or an object with ko and en. */
                    message?: LocalText;
                    objects?: {
                        kind: string;
                        name: string;
                    }[];
                    unblock?: string[];
                }[];
                gate?: string;
                open?: boolean;
                reason?: string;
            };
        };
        "dev.maru.v1alpha1.GateList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Gate"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description The words that a project has agreed on. */
        "dev.maru.v1alpha1.Glossary": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                terms: {
                    aliases?: string[];
                    /** @description A text, or an object with ko and en. */
                    definition?: LocalText;
                    /** @description A text, or an object with ko and en. */
                    term: LocalText;
                }[];
            };
            status?: Record<string, never>;
        };
        "dev.maru.v1alpha1.GlossaryList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Glossary"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description A way of working: phases of stages with gates. A Project names it. */
        "dev.maru.v1alpha1.Method": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                phases: {
                    id: string;
                    stages: {
                        entry?: {
                            expression: string;
                            /** @description A text, or an object with ko and en. */
                            message: LocalText;
                            unblock?: string[];
                        }[];
                        exit?: {
                            expression: string;
                            /** @description A text, or an object with ko and en. */
                            message: LocalText;
                            unblock?: string[];
                        }[];
                        id: string;
                        outputs?: unknown[];
                        /** @description A text, or an object with ko and en. */
                        title?: LocalText;
                    }[];
                    /** @description A text, or an object with ko and en. */
                    title?: LocalText;
                }[];
                /** @description A text, or an object with ko and en. */
                title?: LocalText;
            };
            status?: Record<string, never>;
        };
        "dev.maru.v1alpha1.MethodList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Method"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description A conceptual model as text: what documents and baselines show. */
        "dev.maru.v1alpha1.Model": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                file: string;
                text: string;
            };
            status?: Record<string, never>;
        };
        "dev.maru.v1alpha1.ModelList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Model"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description What a project is for, and by which rules it is judged. One in a namespace. */
        "dev.maru.v1alpha1.Project": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                /** @description A text, or an object with ko and en. */
                author?: LocalText;
                /** @description A share of one like 0.999, or percent like "99.9%". */
                confidence?: string | number;
                environments?: {
                    name: string;
                    namespace?: string;
                }[];
                evidenceValidFor?: string;
                /** @description A text, or an object with ko and en. */
                goal?: LocalText;
                /** @enum {string} */
                language?: "ko" | "en";
                method?: string;
                /** @description A text, or an object with ko and en. */
                organisation?: LocalText;
                policy?: {
                    changesApprovedBy?: string;
                };
                /** @description A text, or an object with ko and en. */
                title?: LocalText;
            };
            status?: {
                baseline?: string;
                chainHead?: string;
                /** Format: int64 */
                chainLength?: number;
                /** Format: int64 */
                changeCount?: number;
                changes?: {
                    /** @enum {string} */
                    change: "added" | "changed" | "removed";
                    from?: string;
                    impacts?: string[];
                    kind: string;
                    name: string;
                    to?: string;
                }[];
                /** Format: int64 */
                conforming?: number;
                gates?: {
                    blocked?: {
                        /** Format: int64 */
                        count?: number;
                        error?: string;
                        expression: string;
                        from?: string;
                        /** @description A text, or an object with ko and en. */
                        message?: LocalText;
                        objects?: {
                            kind: string;
                            name: string;
                        }[];
                        unblock?: string[];
                    }[];
                    gate?: string;
                    open?: boolean;
                    reason?: string;
                }[];
                keyId?: string;
                /** Format: int64 */
                nonconforming?: number;
                /** Format: int64 */
                notMeasured?: number;
                reason?: string;
                stage?: string;
            };
        };
        "dev.maru.v1alpha1.ProjectList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Project"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description What the system must do or be. Its verdict follows from evidence; nobody writes it. */
        "dev.maru.v1alpha1.Requirement": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                allocatedTo?: string[];
                /** @description What is asked for, as a quantity. */
                criterion?: {
                    /** @description The bound with its unit: 99.9%, 50/s, 500 GB. */
                    atLeast?: string | number;
                    atLoad?: string;
                    /** @description The bound with its unit: 100ms, 0.1%, 90000 KRW/month. */
                    atMost?: string | number;
                    by?: string;
                    id?: string;
                    in?: string[];
                    /** @enum {string} */
                    indicator: "latency" | "availability" | "errorRatio" | "throughput" | "capacity" | "cost" | "recoveryPoint" | "recoveryTime" | "licence" | "control" | "behaviour" | "acceptance";
                    of?: {
                        component?: string;
                        route?: string;
                        service?: string;
                    };
                    per?: string;
                    /** @description A share of one like 0.999, or percent like "99.9%". */
                    quantile?: string | number;
                    window?: string;
                };
                derivedFrom?: {
                    fingerprint?: string;
                    name: string;
                }[];
                /**
                 * @default must
                 * @enum {string}
                 */
                priority: "must" | "should" | "could" | "wont";
                source?: {
                    clause?: string;
                    document: string;
                };
                stakeholders?: string[];
                /** @description A text, or an object with ko and en. */
                statement: LocalText;
                /** @description A text, or an object with ko and en. */
                title?: LocalText;
                verify?: {
                    approval?: {
                        role: string;
                    };
                    bom?: string;
                    /** @description A share of one like 0.999, or percent like "99.9%". */
                    confidence?: string | number;
                    drill?: string;
                    experiment?: string;
                    in?: string;
                    install?: string;
                    load?: string;
                    provenance?: string;
                    scan?: string;
                    slo?: string;
                    survey?: string;
                    test?: {
                        case?: string;
                        suite: string;
                    };
                    validFor?: string;
                }[];
            };
            status?: {
                changed?: string[];
                checks?: {
                    /** Format: date-time */
                    at?: string;
                    /** Format: int64 */
                    check: number;
                    evidence?: string;
                    /** Format: date-time */
                    expires?: string;
                    /** @enum {string} */
                    outcome: "Met" | "Violated" | "Insufficient";
                    /** @description A text, or an object with ko and en. */
                    reason?: LocalText;
                }[];
                class?: {
                    category?: string;
                    /** Format: int64 */
                    impact?: number;
                    kind?: string;
                    origin?: string;
                    volatility?: string;
                    /** @description A text, or an object with ko and en. */
                    why?: LocalText;
                };
                conflicts?: string[][];
                fingerprint?: string;
                lint?: {
                    /** @description A text, or an object with ko and en. */
                    fix?: LocalText;
                    /** @description A text, or an object with ko and en. */
                    message?: LocalText;
                    place?: string;
                    rule: string;
                    severity?: string;
                }[];
                /** Format: int64 */
                observedGeneration?: number;
                reason?: string;
                /** @description A text, or an object with ko and en. */
                reasonText?: LocalText;
                /** Format: date-time */
                since?: string;
                suspect?: {
                    current?: string;
                    name: string;
                    reviewed?: string;
                }[];
                /** @enum {string} */
                verdict?: "Conforming" | "Nonconforming" | "NotMeasured";
            };
        };
        "dev.maru.v1alpha1.RequirementList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.Requirement"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description An objective for a service, with the fields of OpenSLO 1. */
        "dev.maru.v1alpha1.ServiceLevelObjective": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: Record<string, never>;
            status?: Record<string, never>;
        };
        "dev.maru.v1alpha1.ServiceLevelObjectiveList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.ServiceLevelObjective"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        /** @description Something to do for some requirements. */
        "dev.maru.v1alpha1.WorkItem": {
            apiVersion?: string;
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"];
            spec: {
                assignee?: string;
                commits?: string[];
                requirements?: string[];
                sprint?: string;
                /** @enum {string} */
                state?: "todo" | "doing" | "done";
                /** @description A text, or an object with ko and en. */
                title: LocalText;
                /** @enum {string} */
                type?: "story" | "task" | "bug";
            };
            status?: Record<string, never>;
        };
        "dev.maru.v1alpha1.WorkItemList": {
            apiVersion?: string;
            items: components["schemas"]["dev.maru.v1alpha1.WorkItem"][];
            kind?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
        };
        "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions": {
            apiVersion?: string;
            dryRun?: string[];
            /** Format: int64 */
            gracePeriodSeconds?: number;
            ignoreStoreReadErrorWithClusterBreakingPotential?: boolean;
            kind?: string;
            orphanDependents?: boolean;
            preconditions?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions"];
            propagationPolicy?: string;
        };
        "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": Record<string, never>;
        "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta": {
            continue?: string;
            /** Format: int64 */
            remainingItemCount?: number;
            resourceVersion?: string;
            selfLink?: string;
            shardInfo?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ShardInfo"];
        };
        "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry": {
            apiVersion?: string;
            fieldsType?: string;
            fieldsV1?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"];
            manager?: string;
            operation?: string;
            subresource?: string;
            time?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.Time"];
        };
        "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {
            annotations?: {
                [key: string]: string;
            };
            creationTimestamp?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.Time"];
            /** Format: int64 */
            deletionGracePeriodSeconds?: number;
            deletionTimestamp?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.Time"];
            finalizers?: string[];
            generateName?: string;
            /** Format: int64 */
            generation?: number;
            labels?: {
                [key: string]: string;
            };
            managedFields?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry"][];
            name?: string;
            namespace?: string;
            ownerReferences?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference"][];
            resourceVersion?: string;
            selfLink?: string;
            uid?: string;
        };
        "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference": {
            apiVersion: string;
            blockOwnerDeletion?: boolean;
            controller?: boolean;
            kind: string;
            name: string;
            uid: string;
        };
        "io.k8s.apimachinery.pkg.apis.meta.v1.Patch": Record<string, never>;
        "io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions": {
            resourceVersion?: string;
            uid?: string;
        };
        "io.k8s.apimachinery.pkg.apis.meta.v1.ShardInfo": {
            selector: string;
        };
        "io.k8s.apimachinery.pkg.apis.meta.v1.Status": {
            apiVersion?: string;
            /** Format: int32 */
            code?: number;
            details?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.StatusDetails"];
            kind?: string;
            message?: string;
            metadata?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"];
            reason?: string;
            status?: string;
        };
        "io.k8s.apimachinery.pkg.apis.meta.v1.StatusCause": {
            field?: string;
            message?: string;
            reason?: string;
        };
        "io.k8s.apimachinery.pkg.apis.meta.v1.StatusDetails": {
            causes?: components["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.StatusCause"][];
            group?: string;
            kind?: string;
            name?: string;
            /** Format: int32 */
            retryAfterSeconds?: number;
            uid?: string;
        };
        /** Format: date-time */
        "io.k8s.apimachinery.pkg.apis.meta.v1.Time": string;
        "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent": {
            object: components["schemas"]["io.k8s.apimachinery.pkg.runtime.RawExtension"];
            type: string;
        };
        "io.k8s.apimachinery.pkg.runtime.RawExtension": Record<string, never>;
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;

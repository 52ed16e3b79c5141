// First texts of the kinds that people write most. Other kinds begin with what their schema says must be there.

const container = `      containers:
      - name: app
        image: docker.io/library/nginx:1.27
        ports:
        - containerPort: 80
        resources:
          requests:
            cpu: 50m
            memory: 64Mi
          limits:
            memory: 128Mi
`;

const TEMPLATES: Record<string, string> = {
  'deployments.apps': `apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
spec:
  replicas: 1
  selector:
    matchLabels:
      app: app
  template:
    metadata:
      labels:
        app: app
    spec:
${container}---
apiVersion: v1
kind: Service
metadata:
  name: app
spec:
  selector:
    app: app
  ports:
  - port: 80
    targetPort: 80
`,
  'statefulsets.apps': `apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: app
spec:
  serviceName: app
  replicas: 1
  selector:
    matchLabels:
      app: app
  template:
    metadata:
      labels:
        app: app
    spec:
${container}        volumeMounts:
        - name: data
          mountPath: /data
  volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes:
      - ReadWriteOnce
      resources:
        requests:
          storage: 1Gi
`,
  'daemonsets.apps': `apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: agent
spec:
  selector:
    matchLabels:
      app: agent
  template:
    metadata:
      labels:
        app: agent
    spec:
${container}`,
  'jobs.batch': `apiVersion: batch/v1
kind: Job
metadata:
  name: task
spec:
  backoffLimit: 2
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: task
        image: docker.io/library/busybox:1.37
        command:
        - sh
        - -c
        - echo done
`,
  'cronjobs.batch': `apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
spec:
  schedule: 0 3 * * *
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers:
          - name: task
            image: docker.io/library/busybox:1.37
            command:
            - sh
            - -c
            - date
`,
  pods: `apiVersion: v1
kind: Pod
metadata:
  name: shell
spec:
  containers:
  - name: shell
    image: docker.io/library/busybox:1.37
    command:
    - sleep
    - infinity
`,
  services: `apiVersion: v1
kind: Service
metadata:
  name: app
spec:
  selector:
    app: app
  ports:
  - port: 80
    targetPort: 80
`,
  'ingresses.networking.k8s.io': `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: app
spec:
  rules:
  - host: app.localhost
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: app
            port:
              number: 80
`,
  'networkpolicies.networking.k8s.io': `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: only-from-app
spec:
  podSelector:
    matchLabels:
      app: database
  policyTypes:
  - Ingress
  ingress:
  - from:
    - podSelector:
        matchLabels:
          app: app
`,
  configmaps: `apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  key: value
`,
  secrets: `apiVersion: v1
kind: Secret
metadata:
  name: credentials
type: Opaque
stringData:
  password: ""
`,
  persistentvolumeclaims: `apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
spec:
  accessModes:
  - ReadWriteOnce
  resources:
    requests:
      storage: 1Gi
`,
  namespaces: `apiVersion: v1
kind: Namespace
metadata:
  name: team
`,
  serviceaccounts: `apiVersion: v1
kind: ServiceAccount
metadata:
  name: app
`,
  'roles.rbac.authorization.k8s.io': `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: viewer
rules:
- apiGroups:
  - ""
  resources:
  - pods
  - pods/log
  verbs:
  - get
  - list
  - watch
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: viewer
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: viewer
subjects:
- kind: ServiceAccount
  name: default
`,
  'horizontalpodautoscalers.autoscaling': `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: app
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: app
  minReplicas: 1
  maxReplicas: 3
  metrics:
  - type: Resource
    resource:
      name: cpu
      target:
        type: Utilization
        averageUtilization: 80
`,
};

export function templateText(resource: string): string | undefined {
  return TEMPLATES[resource];
}

"""CloudWatch: alarms that evaluate, metrics of invocations, and log lines, over what moto keeps.

alarm_evaluator.py     evaluates every alarm every ten clock seconds; read this first
alarm_state.py         the state of a metric alarm from its datapoints (pure)
composite_rule.py      the rule of a composite alarm, and when it is suppressed (pure)
alarm_history.py       changes of state, and the items of DescribeAlarmHistory
alarm_messages.py      the SNS message and the EventBridge event of a change (pure)
metric_math.py         statistics of datapoints, and expressions over them (pure)
invocation_metrics.py  counts invocations of endpoints and writes their metrics
log_writer.py          lines of child processes into CloudWatch Logs
"""
